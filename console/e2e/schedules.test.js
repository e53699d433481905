// A script in the place of a person, by a schedule: made in the wizard, stopped, changed, deleted; and which old versions go.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, axeFindings, field, heading, launch, person, setUp } from './browser.js';
import { makeSystemDisk } from './guest.js';
import { importLayer } from './layers.js';
import { Server } from './server.js';

let server, browser, disk, page, context, complaints;

before(async () => {
  [server, browser, disk] = await Promise.all([Server.start(), launch(), makeSystemDisk()]);
  ({ page, context, complaints } = await person(browser, server));
  await page.goto('/');
  await setUp(page, server);
  await importLayer(page, 'Tiny Linux', disk.path);
});
after(async () => {
  await browser?.close();
  await server?.end();
  await disk?.remove();
});

const next = () => page.getByRole('button', { name: 'Next' }).click();

test('a schedule is made where a version is added, with a script and a file beside it', async () => {
  await page.goto('/schedules');
  await page.getByText('No schedules yet').waitFor();
  await page.goto('/layers/os');
  await page.getByRole('link', { name: 'Tiny Linux' }).first().click();
  await page.getByRole('button', { name: 'Add Version' }).first().click();
  await field(page, 'Version').fill('{date}');
  await next();
  await page.getByRole('radio', { name: 'local' }).check();
  await next();
  await next();
  await page.getByLabel('Packaging Disk File Name').fill('patched');
  await next();
  await page.getByRole('radio', { name: 'A script' }).check();
  await field(page, 'Script').fill('#!/bin/sh\necho patched >/data/patched\n');
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Add a file…' }).click();
  await (await chooser).setFiles({ name: 'list.txt', mimeType: 'text/plain', buffer: Buffer.from('openssl') });
  await page.getByText('list.txt').first().waitFor();
  await page.getByRole('radio', { name: 'Again and again, by a schedule' }).check();
  await field(page, 'Schedule Name').fill('Patch day');
  await field(page, 'Times').fill('every blue moon');
  assert.deepEqual(await axeFindings(page), []);
  await next();
  await page.getByText("shale schedule create 'Patch day'").waitFor();
  await page.getByRole('button', { name: 'Create Schedule' }).click();
  await heading(page, 'Create OS Version');
  await field(page, 'Times').waitFor();
  await page.getByText(/every blue moon/).first().waitFor();
  await field(page, 'Times').fill('every second tuesday 22:00');
  await next();
  await page.getByRole('button', { name: 'Create Schedule' }).click();
  await heading(page, 'Schedules');
  await page.getByRole('row', { name: /Patch day.*Tiny Linux.*every second tuesday 22:00.*never/ }).waitFor();
});

test('it shows its script and files, is stopped and changed', async () => {
  await page.getByRole('button', { name: 'Patch day', exact: true }).click();
  await page.getByText('echo patched >/data/patched').waitFor();
  await page.getByText('list.txt').waitFor();
  assert.deepEqual(await axeFindings(page), []);
  const menu = page.getByRole('button', { name: 'Actions for Patch day' });
  await menu.click();
  await page.getByRole('menuitem', { name: 'Disable' }).click();
  await page.getByRole('row', { name: /Patch day.*disabled/ }).waitFor();
  await menu.click();
  await page.getByRole('menuitem', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit Patch day' });
  await field(dialog, 'Times').fill('every day 03:00');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('row', { name: /every day 03:00/ }).waitFor();
});

test('it is deleted', async () => {
  await page.getByRole('button', { name: 'Actions for Patch day' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No schedules yet').waitFor();
  const { items } = await api(page, 'GET', '/audit');
  assert.ok(items.some(({ action }) => action === 'delete_schedule'));
});

test('of old versions it is told which would go, and why the others stay', async () => {
  await page.goto('/layers/os');
  await page.getByRole('button', { name: 'Actions for Tiny Linux' }).click();
  await page.getByRole('menuitem', { name: 'Delete old versions' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete old versions of Tiny Linux' });
  await dialog.getByText(/1.0 stays/).waitFor();
  await dialog.getByText('None goes.').first().waitFor();
  assert.deepEqual(await axeFindings(page), []);
});

test('what becomes of old versions is a rule of the layer', async () => {
  await page.goto('/layers/os');
  await page.getByRole('link', { name: 'Tiny Linux' }).first().click();
  // The layer's; the version's is below.
  await page.getByRole('button', { name: 'Edit Properties' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'Edit properties of Tiny Linux' });
  await field(dialog, 'Keep the newest').fill('2');
  await dialog.getByRole('radio', { name: 'Delete them' }).check();
  assert.deepEqual(await axeFindings(page), []);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('the 2 newest stay, and what something uses; older ones are deleted').waitFor();
});

test('nothing in all that was refused by the policy, failed in the page, or asked another host', async () => {
  assert.deepEqual(complaints, []);
  await context.close();
});
