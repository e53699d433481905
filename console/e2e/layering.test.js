// App and platform layers made in real machines, image templates with them, their plan, and their images: in the console alone.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { api, axeFindings, field, heading, launch, openTaskBar, person, setUp, until } from './browser.js';
import { inGuest, makeSystemDisk } from './guest.js';
import { addVersion, finalizeAnyway, importLayer } from './layers.js';
import { imagePages, settled } from './pages.js';
import { Server } from './server.js';

const run = promisify(execFile);
let server, browser, disk, page, context, complaints, system, newer;

before(async () => {
  [server, browser, disk] = await Promise.all([Server.start(), launch(), makeSystemDisk()]);
  ({ page, context, complaints } = await person(browser, server));
  await page.goto('/');
  await setUp(page, server);
  system = await importLayer(page, 'Tiny Linux', disk.path);
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
  assert.equal(await field(page, 'Version').count(), 0, 'its version has a step of its own');
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

/** In the only machine there is, `command` is run; it is shut down and finalized by its task's buttons. */
async function finishByHand(command, version) {
  const bar = await openTaskBar(page);
  await bar.getByText('The Packaging Disk has been published.').waitFor();
  const [machine] = (await api(page, 'GET', '/machines')).items;
  await inGuest(page, machine.id, `${command} && sync`);
  await bar.getByRole('button', { name: 'Shut down' }).click();
  const finalize = bar.getByRole('button', { name: 'Finalize' });
  await until('the guest to be off', async () => (await finalize.getAttribute('aria-disabled')) !== 'true');
  await finalize.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Finalize' }).click();
  // This guest has nobody who would have run the tool.
  await bar.getByText('Shutdown For Finalize was never run in this machine.').first().waitFor();
  await bar.getByRole('button', { name: 'Finalize anyway' }).click();
  const anyway = page.getByRole('dialog', { name: `Finalize version ${version} anyway?` });
  await anyway.getByLabel('Reason').fill('a guest without packages');
  await anyway.getByRole('button', { name: 'Finalize anyway' }).click();
  await page.getByRole('heading', { name: `Version ${version} Deployable` }).waitFor();
}

test('what is installed in its machine becomes its first version', async () => {
  await finishByHand('mkdir -p usr/share/greeter && echo hello >usr/share/greeter/greeting', '1.0');
  await page.getByRole('link', { name: 'Tiny Linux / 1.0' }).waitFor();
  assert.deepEqual(await axeFindings(page), []);
});

test('a platform layer is created step by step, and what its machine changed becomes a deployable version', async () => {
  await page.goto('/layers/platform');
  await page.getByText('No platform layers yet').waitFor();
  await page.getByRole('link', { name: 'Create Platform Layer' }).first().click();
  await heading(page, 'Create Platform Layer');
  await field(page, 'Layer Name').fill('Tools');
  await next('Version Details');
  await field(page, 'Version').fill('2.0');
  await next('OS Layer');
  await page.getByRole('radio', { name: 'Tiny Linux' }).check();
  await next('Connector');
  await page.getByRole('radio', { name: 'local' }).check();
  await next('Packaging Disk');
  await page.getByLabel('Packaging Disk File Name').fill('tools');
  await next('Confirm and Complete');
  await page.getByText('shale layer platform create Tools').waitFor();
  await page.getByRole('button', { name: 'Create Layer' }).click();
  await heading(page, 'Tools');
  await finishByHand('mkdir -p usr/share/tools && echo agent >usr/share/tools/agent', '2.0');
});

/** A newer version of the OS layer, made beside what the tests do: for templates to be moved to. */
async function patched() {
  const aside = await context.newPage();
  await aside.goto('/');
  await finalizeAnyway(aside, await addVersion(aside, system, '1.1'), 'echo patched >etc/patched && sync');
  await aside.close();
}

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
  // Not before the template has the version that is there now.
  newer = patched();
  newer.catch(() => undefined); // told where it is waited for
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
  await dialog.getByRole('checkbox', { name: 'Write it to the server as well' }).check();
  await dialog.getByRole('textbox', { name: 'Folder or file on the server' }).fill(folder);
  assert.deepEqual(await axeFindings(page), []);
  await dialog.getByRole('button', { name: 'Publish' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.goto('/images');
  await page.getByRole('row', { name: /Desk-\d{4}-\d\d-\d\d_.*Published/ }).waitFor();
  const [file] = await readdir(folder);
  const { stdout } = await run('qemu-img', ['check', '--output=json', join(folder, file)]);
  assert.equal(JSON.parse(stdout)['check-errors'], 0);
  await page.getByRole('button', { name: /^Actions for Desk-/ }).click();
  await page.getByRole('menuitem', { name: 'Download' }).waitFor();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No images yet').waitFor();
});

test('a clone has what the template has', async () => {
  await page.goto('/templates');
  await page.getByRole('button', { name: 'Actions for Desk' }).click();
  await page.getByRole('menuitem', { name: 'Clone' }).click();
  await page.getByLabel('Name of the new template').fill('Desk 2');
  await page.getByRole('dialog').getByRole('button', { name: 'Clone' }).click();
  await heading(page, 'Desk 2');
  await page.getByRole('link', { name: 'Greeter' }).waitFor();
});

test('a template is edited step by step: what it had is chosen, what is added is in it', async () => {
  await page.getByRole('button', { name: 'Edit Template' }).click();
  await heading(page, 'Edit Desk 2');
  await field(page, 'Template Name').fill('Lab');
  await next('OS Layer');
  assert.equal(await page.getByRole('radio', { name: 'Tiny Linux' }).isChecked(), true);
  await next('App Layers');
  assert.equal(await page.getByRole('checkbox', { name: 'Greeter' }).isChecked(), true);
  await next('Platform Layer');
  await page.getByRole('radio', { name: 'Tools' }).check();
  await next('Connector');
  await next('Layered Image Disk');
  await page.getByLabel('Disk File Name').fill('lab');
  await next('Confirm and Complete');
  await page.getByText("shale template edit 'Desk 2'").waitFor();
  await page.getByRole('button', { name: 'Save Template' }).click();
  await heading(page, 'Lab');
  await page.getByRole('link', { name: 'Tools' }).waitFor();
  await page.getByText('lab', { exact: true }).waitFor();
});

test('a template that is old is moved to the newest versions in one step', async () => {
  await newer;
  await page.getByText('1.1 is newer').waitFor();
  await page.getByRole('button', { name: 'Update to newest versions' }).click();
  const dialog = page.getByRole('dialog', { name: 'Update Lab?' });
  await dialog.getByText('Tiny Linux: 1.0 → 1.1').waitFor();
  assert.deepEqual(await axeFindings(page), []);
  await dialog.getByRole('button', { name: 'Update to newest versions' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByText('1.1 is newer').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Update to newest versions', disabled: true }).waitFor();
});

test('templates are selected by keyboard and published at once; their images boot, and what was seen is told', async () => {
  await page.goto('/templates');
  for (const name of ['Desk', 'Lab']) {
    await page.getByRole('checkbox', { name: `Select ${name}`, exact: true }).focus();
    await page.keyboard.press('Space');
  }
  await page.getByText('2 selected').waitFor();
  assert.equal(await page.getByRole('checkbox', { name: 'Select all that are shown' }).isChecked(), true);
  assert.deepEqual(await axeFindings(page), []);
  await page.getByRole('toolbar').getByRole('button', { name: 'Publish' }).press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Publish 2 templates' });
  await dialog.getByRole('checkbox', { name: 'Boot and check' }).check();
  assert.deepEqual(await axeFindings(page), []);
  await dialog.getByRole('button', { name: 'Publish' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.goto('/images');
  for (const name of ['Desk', 'Lab']) {
    await page.getByRole('row', { name: new RegExp(`${name}-.*Published.*Came up`) }).waitFor();
  }
  await page.getByRole('button', { name: /^Lab-/ }).click();
  const lab = page.getByRole('row', { name: /Lab-/ });
  await lab.getByText('The guest shows its login prompt.').waitFor();
  await lab.getByText('Tools / 2.0').waitFor();
  assert.deepEqual(await axeFindings(page), []);
});

test('an image is downloaded in another format as a sound disk', async () => {
  await page.getByRole('button', { name: /^Actions for Lab-/ }).click();
  await page.getByRole('menuitem', { name: 'Download' }).click();
  const dialog = page.getByRole('dialog', { name: /^Download Lab-/ });
  await dialog.getByLabel('Disk format').selectOption('vhdx');
  const coming = page.waitForEvent('download');
  await dialog.getByRole('button', { name: 'Download' }).click();
  const download = await coming;
  assert.match(download.suggestedFilename(), /^Lab-.*\.vhdx$/);
  const { stdout } = await run('qemu-img', ['check', '--output=json', '-f', 'vhdx', await download.path()]);
  assert.equal(JSON.parse(stdout)['check-errors'], 0);
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
      ...Object.values(imagePages(template.id)),
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
