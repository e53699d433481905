// An app layer made in a real machine, an image template with it, its plan, and its image: in the console alone.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { api, axeFindings, field, heading, launch, openTaskBar, person, setUp, until } from './browser.js';
import { inGuest, makeSystemDisk } from './guest.js';
import { importLayer } from './layers.js';
import { settled } from './pages.js';
import { Server } from './server.js';

const run = promisify(execFile);
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

/** Has axe look at a wizard's step that is filled in, and goes to the next one. */
async function next(title) {
  assert.deepEqual(await axeFindings(page), []);
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('heading', { level: 2, name: title }).waitFor();
}

test('an app layer is created step by step, with the same request for scripts', async () => {
  await page.goto('/layers/app');
  await page.getByText('No app layers yet').waitFor();
  await page.getByRole('link', { name: 'Create App Layer' }).first().click();
  await heading(page, 'Create App Layer');
  await field(page, 'Layer Name').fill('Greeter');
  await next('Version Details');
  await field(page, 'Version').fill('1.0');
  await next('OS Layer');
  await page.getByRole('radio', { name: 'Tiny Linux' }).check();
  await page.getByRole('combobox', { name: 'Version of Tiny Linux' }).waitFor();
  await next('Prerequisite Layers');
  await page.getByText('There are no other app layers').waitFor();
  await next('Connector');
  await page.getByRole('radio', { name: 'local' }).check();
  await next('Platform Layer');
  await page.getByText('There are no platform layers of this OS layer').waitFor();
  await next('Packaging Disk');
  await page.getByLabel('Packaging Disk File Name').fill('greeter');
  await next('Confirm and Complete');
  const command = page.getByText('shale layer app create Greeter');
  await command.waitFor();
  await until('the names of versions', async () => (await command.textContent()).includes("--os 'Tiny Linux/1.0'"));
  await page.getByRole('button', { name: 'Create Layer' }).click();
  await heading(page, 'Greeter');
});

test('what is installed in its machine becomes its first version', async () => {
  const bar = await openTaskBar(page);
  await bar.getByText('The Packaging Disk has been published.').waitFor({ timeout: 120_000 });
  const [machine] = (await api(page, 'GET', '/machines')).items;
  await inGuest(machine.ssh, 'mkdir -p usr/share/greeter && echo hello >usr/share/greeter/greeting && sync');
  await bar.getByRole('button', { name: 'Shut down' }).click();
  const finalize = bar.getByRole('button', { name: 'Finalize' });
  await until('the guest to be off', async () => (await finalize.getAttribute('aria-disabled')) !== 'true');
  await finalize.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Finalize' }).click();
  await page.getByRole('heading', { name: 'Version 1.0 Deployable' }).waitFor({ timeout: 120_000 });
  await page.getByRole('link', { name: 'Tiny Linux / 1.0' }).waitFor();
  assert.deepEqual(await axeFindings(page), []);
});

test('an image template is created, and its plan says which layer wins', async () => {
  await page.goto('/templates');
  await page.getByText('No image templates yet').waitFor();
  await page.getByRole('link', { name: 'Create Template' }).first().click();
  await field(page, 'Template Name').fill('Desk');
  await next('OS Layer');
  await page.getByRole('radio', { name: 'Tiny Linux' }).check();
  await next('App Layers');
  await page.getByRole('checkbox', { name: 'Greeter' }).check();
  await next('Platform Layer');
  await next('Connector');
  await next('Layered Image Disk');
  await next('Confirm and Complete');
  await page.getByText('shale template create Desk').waitFor();
  await page.getByRole('button', { name: 'Create Template' }).click();
  await heading(page, 'Desk');
  await page.getByText('Publishable').waitFor();
  await page.getByRole('link', { name: 'Show the plan' }).click();
  await heading(page, 'Plan of Desk');
  await page.getByRole('textbox', { name: 'Search in paths' }).fill('greeting');
  await page.getByRole('row', { name: /usr\/share\/greeter\/greeting.*added.*Greeter/ }).waitFor();
});

test('its image is published to a folder as a sound disk, and deleted', async () => {
  const folder = join(server.data, 'published');
  await mkdir(folder);
  await page.getByRole('link', { name: 'Desk' }).click();
  await heading(page, 'Desk');
  await page.getByRole('button', { name: 'Publish' }).click();
  const dialog = page.getByRole('dialog', { name: 'Publish Desk' });
  await dialog.getByRole('radio', { name: 'Write it to the server as well' }).check();
  await dialog.getByRole('textbox', { name: 'Folder or file on the server' }).fill(folder);
  assert.deepEqual(await axeFindings(page), []);
  await dialog.getByRole('button', { name: 'Publish' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.goto('/images');
  await page.getByRole('row', { name: /Desk-\d{4}-\d\d-\d\d_.*Published/ }).waitFor({ timeout: 120_000 });
  const [file] = await readdir(folder);
  const { stdout } = await run('qemu-img', ['check', '--output=json', join(folder, file)]);
  assert.equal(JSON.parse(stdout)['check-errors'], 0);
  await page.getByRole('button', { name: /More.*Desk-|Desk-.*more/i }).click();
  await page.getByRole('menuitem', { name: 'Download' }).waitFor();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No images yet').waitFor();
});

test('a clone has what the template has', async () => {
  await page.goto('/templates');
  await page.getByRole('row', { name: /Desk/ }).getByRole('button').click();
  await page.getByRole('menuitem', { name: 'Clone' }).click();
  await page.getByLabel('Name of the new template').fill('Desk 2');
  await page.getByRole('dialog').getByRole('button', { name: 'Clone' }).click();
  await heading(page, 'Desk 2');
  await page.getByRole('link', { name: 'Greeter' }).waitFor();
});

for (const width of [1280, 390]) {
  test(`nothing is found on the pages of layers and images, ${width} pixels wide`, async () => {
    const [template] = (await api(page, 'GET', '/templates')).items;
    const [layer] = (await api(page, 'GET', '/layers?kind=app')).items;
    await page.setViewportSize({ width, height: 844 });
    const paths = [
      '/layers/app?view=table',
      `/layers/app/${layer.id}`,
      `/layers/app/${layer.id}/add-version?step=os`,
      '/create-layer/platform',
      '/templates',
      `/templates/${template.id}`,
      `/templates/${template.id}/edit?step=apps`,
      `/templates/${template.id}/plan`,
      '/images',
    ];
    for (const path of paths) {
      await page.goto(path);
      await settled(page);
      assert.deepEqual(await axeFindings(page), [], path);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.equal(over, 0, `${path}: pixels stick out`);
    }
  });
}

test('nothing in all that was refused by the policy, failed in the page, or asked another host', async () => {
  assert.deepEqual(complaints, []);
  await context.close();
});
