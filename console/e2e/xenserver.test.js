// A version made in a XenServer pool (simulated, over the real protocol, with a guest that really runs), in the console.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { api, launch, openTaskBar, person, setUp } from './browser.js';
import { makeDisk } from './guest.js';
import { addVersion, id, importLayer } from './layers.js';
import { screenSays } from './screen.js';
import { Server, startPool } from './server.js';

let server, browser, pool, disk, page, context, complaints, layer, version;

before(async () => {
  [server, browser, pool, disk] = await Promise.all([Server.start(), launch(), startPool({ machines: true }), makeDisk()]);
  ({ page, context, complaints } = await person(browser, server));
  await setUp(page, server);
  layer = await importLayer(page, 'Tiny Linux', disk.path);
});
after(async () => {
  await browser?.close();
  await server?.end();
  await pool?.end();
  await disk?.remove();
});

/** A configuration of the pool whose certificate is trusted. */
async function connect() {
  const settings = {
    address: pool.address,
    user: 'root',
    password: 'password',
    template: 'Packaging (BIOS)',
    storage_repository: 'Shared storage',
    memory_mib: 256,
  };
  const connector = await api(page, 'POST', '/connectors', { id: id(), name: 'pool', kind: 'xenserver', settings });
  const { checks } = await api(page, 'POST', `/connectors/${connector.id}/test`);
  const { fix } = checks.find((check) => check.fix);
  return api(page, 'PATCH', `/connectors/${connector.id}`, { settings: { [fix.field]: fix.value } });
}

test('the screen of a machine in the pool shows in the browser what its guest says', async () => {
  ({ version } = await addVersion(page, layer, '1.1', await connect()));
  await page.goto(`/machines/${version.id}`);
  await page.locator('.screen[data-state=connected] canvas').waitFor();
  await screenSays(context, version.id, /tiny guest: ?ready/i, join(server.data, 'screen.png'));
});

test('files that are attached appear in the machine of the pool as a CD', async () => {
  await page.getByRole('tab', { name: 'Attach files' }).click();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Upload files…' }).click();
  await (await chooser).setFiles({ name: 'installer.txt', mimeType: 'text/plain', buffer: Buffer.from('run me') });
  await page.getByRole('button', { name: 'Put 1 file on the CD' }).click();
  await page.getByRole('heading', { name: 'On the CD now' }).waitFor();
  await page.getByText('installer.txt').first().waitFor();
});

test('the machine is powered off at once: that is outstanding, and finalized anyway with a reason', async () => {
  const bar = await openTaskBar(page);
  await page.getByRole('button', { name: 'Power off' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Power off' }).click();
  const finalize = bar.locator('button:not([aria-disabled=true])', { hasText: 'Finalize' });
  await finalize.click();
  await page.getByRole('dialog', { name: 'Finalize version 1.1?' }).getByRole('button', { name: 'Finalize' }).click();
  await bar.getByText('A file system was in use when the machine was powered off.').waitFor();
  await bar.getByRole('button', { name: 'Check again' }).click();
  await bar.getByText('One thing is outstanding in the packaging machine.').first().waitFor();
  await bar.getByRole('button', { name: 'Finalize anyway' }).click();
  const anyway = page.getByRole('dialog', { name: 'Finalize version 1.1 anyway?' });
  await anyway.getByText('Say why: it is kept in the audit.').waitFor();
  await anyway.getByLabel('Reason').fill('nothing was changed');
  await anyway.getByRole('button', { name: 'Finalize anyway' }).click();
  await page.getByText('This packaging machine is gone').waitFor();
  await page.getByRole('link', { name: 'Show the version' }).click();
  await page.getByRole('heading', { name: 'Version 1.1 Deployable' }).waitFor();
  assert.deepEqual(complaints, []);
});
