// The whole job as an administrator does it: from the first start to an exported disk, in the console alone.
//
//   PICTURES    a folder: a picture is left there at each stage (those of docs/console.md are made so)
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { api, field, heading, launch, openTaskBar, person, setUp, until } from './browser.js';
import { inGuest, makeDisk } from './guest.js';
import { screenSays } from './screen.js';
import { Server } from './server.js';

const run = promisify(execFile);
let server, browser, disk, page, complaints;

async function picture(name) {
  if (process.env.PICTURES) await page.screenshot({ path: join(process.env.PICTURES, `console-${name}.png`) });
}

before(async () => {
  [server, browser, disk] = await Promise.all([Server.start(), launch(), makeDisk()]);
  ({ page, complaints } = await person(browser, server));
});
after(async () => {
  await browser?.close();
  await server?.end();
  await disk?.remove();
});

test('the first start makes an administrator with the printed code, and with no other', async () => {
  await page.goto('/');
  await page.getByLabel('Set-up code').fill('AAAA-AAAA');
  await page.getByLabel('User name').fill('ada');
  await field(page, 'Password').fill('correct horse battery staple');
  await page.getByLabel('Password again').fill('correct horse battery staple');
  await page.getByRole('button', { name: 'Make administrator' }).click();
  await page.getByText('The set-up code is wrong').first().waitFor();
  await picture('setup');
  await setUp(page, server);
  await page.getByText('QEMU emulator').waitFor();
  await picture('home');
});

test('an OS layer is made from a disk that is uploaded', async () => {
  await page.getByRole('link', { name: 'Create the first OS layer' }).click();
  await heading(page, 'Create OS Layer');
  const next = page.getByRole('button', { name: 'Next' });
  await next.hover();
  await page.getByRole('tooltip', { name: 'Enter a layer name first.' }).waitFor();
  await page.getByLabel('Layer Name').fill('Tiny Linux');
  await field(page, 'Version').fill('1.0');
  await next.click();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Choose a disk image…' }).click();
  await (await chooser).setFiles(disk.path);
  await page.getByText('128 MiB of 128 MiB').waitFor();
  await picture('upload');
  await next.click();
  await page.getByText("shale layer import 'Tiny Linux'").waitFor();
  await page.getByLabel('Comment').fill('first');
  await page.getByRole('button', { name: 'Create Layer' }).click();
  await heading(page, 'Tiny Linux');
  await page.getByRole('heading', { name: 'Version 1.0 Deployable' }).waitFor();
});

test('a version is added step by step, and its task asks for a person with buttons', async () => {
  await page.getByRole('button', { name: 'Add Version' }).first().click();
  await field(page, 'Version').fill('1.1');
  await page.getByLabel('Version Description').fill('November patches');
  await page.getByRole('button', { name: 'Next' }).click();
  assert.match(page.url(), /step=connector/);
  await page.getByRole('radio', { name: 'local' }).check();
  await page.getByRole('button', { name: 'Test' }).click();
  await page.getByText('QEMU emulator').waitFor();
  await picture('connector');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('There are no platform layers of this OS layer').waitFor();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByLabel('Packaging Disk File Name').fill('tiny');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('radio', { name: 'A person, in the packaging machine' }).waitFor();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('--connector local').waitFor();
  await page.getByLabel('Comment').fill('patch day');
  await page.getByText('--connector local').scrollIntoViewIfNeeded();
  await picture('confirm');
  await page.getByRole('button', { name: 'Create Version' }).click();
  const bar = page.getByRole('region', { name: 'Task bar' });
  await bar.getByText('The Packaging Disk has been published.').waitFor();
  await bar.getByRole('link', { name: 'Open screen' }).waitFor();
  await picture('action-required');
  await bar.getByRole('button', { name: 'Finalize' }).hover();
  await page.getByRole('tooltip', { name: /shut it down first/ }).waitFor();
});

test('a task unfolds by a click on its line, and by Enter', async () => {
  const bar = page.getByRole('region', { name: 'Task bar' });
  const details = bar.getByText('The Packaging Disk has been published.');
  const line = bar.locator('.task-open .task-title');
  const title = await line.textContent();
  await line.click();
  await details.waitFor({ state: 'detached' });
  await bar.getByText(title, { exact: true }).click();
  await details.waitFor();
  const button = bar.getByRole('button', { name: `Details of ${title}` });
  await button.focus();
  await page.keyboard.press('Enter');
  await details.waitFor({ state: 'detached' });
  await page.keyboard.press('Enter');
  await details.waitFor();
});

test('the screen shows what the guest says as it boots', async () => {
  await page.getByRole('region', { name: 'Task bar' }).getByRole('link', { name: 'Open screen' }).click();
  const screen = page.locator('.screen[data-state=connected] canvas');
  await screen.waitFor();
  const [machine] = (await api(page, 'GET', '/machines')).items;
  await screenSays(page.context(), machine.id, /tiny guest: ?ready/i, join(server.data, 'screen.png'));
  await page.getByRole('button', { name: 'Tasks' }).click();
  await picture('screen');
});

test('files that are attached appear in the machine as a CD', async () => {
  await page.getByRole('tab', { name: 'Attach files' }).click();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Upload files…' }).click();
  await (await chooser).setFiles({ name: 'installer.txt', mimeType: 'text/plain', buffer: Buffer.from('run me') });
  await page.getByRole('button', { name: 'Put 1 file on the CD' }).click();
  await page.getByRole('heading', { name: 'On the CD now' }).waitFor();
  await picture('files');
  await page.getByText('installer.txt').first().waitFor();
});

test('the work is done in the guest, and the console shuts it down and finalizes', async () => {
  const [machine] = (await api(page, 'GET', '/machines')).items;
  await inGuest(page, machine.id, 'echo patched >/disk/data/november && sync');
  await page.getByRole('tab', { name: 'Serial log' }).click();
  await page.getByText('tiny guest: ready').waitFor();
  const bar = await openTaskBar(page);
  await bar.getByRole('button', { name: 'Shut down' }).click();
  const finalize = bar.getByRole('button', { name: 'Finalize' });
  await until('the guest to be off', async () => (await finalize.getAttribute('aria-disabled')) !== 'true');
  await finalize.click();
  const dialog = page.getByRole('dialog', { name: 'Finalize version 1.1?' });
  await dialog.getByLabel('Comment').fill('patched');
  await dialog.getByRole('button', { name: 'Finalize' }).click();
  await page.getByText('This packaging machine is gone').waitFor();
  await page.getByRole('link', { name: 'Show the version' }).click();
  await page.getByRole('heading', { name: 'Version 1.1 Deployable' }).waitFor();
  await page.getByText('patch day').waitFor();
  // Notices go by themselves after a while.
  if (process.env.PICTURES) await page.getByRole('button', { name: /^Close .*alert/ }).first().waitFor({ state: 'detached' });
  await picture('layer');
});

test('the version is exported, and a tool that others wrote finds a sound disk', async () => {
  const target = join(server.data, 'tiny.qcow2');
  await page.getByRole('button', { name: 'Export' }).click();
  const dialog = page.getByRole('dialog', { name: 'Export a version' });
  await dialog.getByRole('textbox', { name: 'File on the server' }).fill('tiny.qcow2');
  await dialog.getByRole('button', { name: 'Export' }).click();
  await dialog.getByText('The path must be absolute').first().waitFor();
  await dialog.getByRole('textbox', { name: 'File on the server' }).fill(target);
  await dialog.getByRole('button', { name: 'Export' }).click();
  await dialog.waitFor({ state: 'detached' });
  await until('the exported file', () => stat(target).catch(() => undefined));
  await page.getByRole('region', { name: 'Task bar' }).getByText("Exporting Version '1.1'").waitFor();
  await until('the export to end', async () => {
    const { items } = await api(page, 'GET', '/tasks?state=done');
    return items.some((task) => task.kind === 'export_version');
  });
  const { stdout } = await run('qemu-img', ['check', '--output=json', target]);
  assert.equal(JSON.parse(stdout)['check-errors'], 0);
});

test('the audit tells who did it and why', async () => {
  await page.getByRole('link', { name: 'Audit' }).click();
  const row = page.getByRole('row', { name: /ada.*finalize.*patched/ });
  await row.waitFor();
  await picture('audit');
});

test('nothing in the whole walk was refused by the policy, failed in the page, or asked another host', () => {
  assert.deepEqual(complaints, []);
});
