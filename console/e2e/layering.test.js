// An app layer made in a real machine, in the console alone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, axeFindings, field, heading, launch, openTaskBar, person, setUp, until } from './browser.js';
import { inGuest, makeSystemDisk } from './guest.js';
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

test('its machine runs the OS layer, and can be finalized once it is off', async () => {
  const bar = await openTaskBar(page);
  await bar.getByText('The Packaging Disk has been published.').waitFor({ timeout: 120_000 });
  const [machine] = (await api(page, 'GET', '/machines')).items;
  await inGuest(machine.ssh, 'mkdir -p usr/share/greeter && echo hello >usr/share/greeter/greeting && sync');
  await bar.getByRole('button', { name: 'Shut down' }).click();
  const finalize = bar.getByRole('button', { name: 'Finalize' });
  await until('the guest to be off', async () => (await finalize.getAttribute('aria-disabled')) !== 'true');
});

test('nothing in all that was refused by the policy, failed in the page, or asked another host', async () => {
  assert.deepEqual(complaints, []);
  await context.close();
});
