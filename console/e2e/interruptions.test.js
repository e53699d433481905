// What goes wrong half-way: a cancelled task, a wizard that is left, a server that restarts under an open page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, field, heading, launch, openTaskBar, person, setUp, until } from './browser.js';
import { makeDisk } from './guest.js';
import { addVersion, importLayer } from './layers.js';
import { Server } from './server.js';

let server, browser, disk, page, layer;

before(async () => {
  [server, browser, disk] = await Promise.all([Server.start(), launch(), makeDisk()]);
  ({ page } = await person(browser, server));
  await setUp(page, server);
  layer = await importLayer(page, 'Tiny Linux', disk.path);
});
after(async () => {
  await browser?.close();
  await server?.end();
  await disk?.remove();
});

test('a task that is cancelled half-way takes its machine and its version along', async () => {
  const { version } = await addVersion(page, layer, '1.1');
  await page.goto(`/layers/os/${layer.id}`);
  const bar = await openTaskBar(page);
  await bar.getByRole('button', { name: 'Cancel task' }).click();
  const dialog = page.getByRole('dialog', { name: 'Cancel this task?' });
  await dialog.getByLabel('Comment').fill('a mistake');
  await dialog.getByRole('button', { name: 'Cancel task' }).click();
  await bar.getByText('Canceled', { exact: true }).waitFor();
  await page.getByRole('link', { name: /1\.1/ }).waitFor({ state: 'detached' });
  assert.deepEqual((await api(page, 'GET', '/machines')).items, []);
  const left = (await api(page, 'GET', `/layers/${layer.id}/versions`)).items.map((one) => one.id);
  assert.ok(!left.includes(version.id));
});

test('a layer has its menu behind three dots and the right mouse button, as a tile and as a row', async () => {
  const menu = page.getByRole('menuitem', { name: 'Edit Properties' });
  for (const view of ['tiles', 'table']) {
    await page.goto(`/layers/os?view=${view}`);
    await page.getByRole('button', { name: 'Actions for Tiny Linux' }).click();
    await menu.waitFor();
    await page.keyboard.press('Escape');
    await menu.waitFor({ state: 'detached' });
    await page.getByRole('region', { name: 'OS Layers' }).getByText('Deployable').click({ button: 'right' });
    await menu.click();
    const dialog = page.getByRole('dialog', { name: 'Edit properties of Tiny Linux' });
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
  }
});

test('a wizard that is left half-way asks, and has kept what was entered when one comes back', async () => {
  await page.goto(`/layers/os/${layer.id}/add-version`);
  await field(page, 'Version').fill('2.0');
  await page.getByRole('link', { name: 'Audit' }).click();
  const dialog = page.getByRole('dialog', { name: 'Leave half-way?' });
  await dialog.getByRole('button', { name: 'Stay' }).click();
  await heading(page, 'Create OS Version');
  await page.getByRole('link', { name: 'Audit' }).click();
  await dialog.getByRole('button', { name: 'Leave' }).click();
  await heading(page, 'Audit');
  await page.goto(`/layers/os/${layer.id}/add-version?step=connector`);
  await page.getByRole('heading', { level: 2, name: 'Connector' }).waitFor();
  await page.getByRole('button', { name: 'Back' }).click();
  assert.equal(await field(page, 'Version').inputValue(), '2.0');
});

test('what the server refuses stands at its field', async () => {
  await page.goto(`/layers/os/${layer.id}/add-version`);
  await field(page, 'Version').fill('1.0');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('radio', { name: 'local' }).check();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByLabel('Packaging Disk File Name').fill('tiny');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('heading', { level: 2, name: 'Installation' }).waitFor();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'Create Version' }).click();
  await page.getByRole('heading', { level: 2, name: 'Version Details' }).waitFor();
  assert.equal(await field(page, 'Version').getAttribute('aria-invalid'), 'true');
});

test('an upload goes on where it stopped, after a broken line and a reload', async () => {
  let offsets = [];
  page.on('request', (sent) => {
    if (sent.method() === 'PATCH') offsets.push(Number(sent.headers()['upload-offset']));
  });
  await page.route('**/api/v1/uploads/*', (route) => (offsets.length > 2 ? route.abort() : route.fallback()));
  const choose = async () => {
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: /^Choose/ }).click();
    await (await chooser).setFiles(disk.path);
  };
  await page.goto('/create-os-layer');
  await page.getByLabel('Layer Name').fill('Uploaded twice');
  await field(page, 'Version').fill('1.0');
  await page.getByRole('button', { name: 'Next' }).click();
  await choose();
  await page.getByText('no answer, trying again').waitFor();
  page.once('dialog', (dialog) => void dialog.accept());
  await page.reload();
  await page.getByText(/tiny\.raw: 12 % are on the server/).waitFor();
  await page.unrouteAll();
  offsets = [];
  await choose();
  await page.getByText('128 MiB of 128 MiB').waitFor();
  assert.equal(offsets[0], 16 * 1024 * 1024);
});

test('a page that is open while the server restarts says so, comes back, and shows what happens after', async () => {
  await page.goto('/layers/os');
  await page.getByRole('link', { name: 'Tiny Linux' }).waitFor();
  page.once('dialog', (dialog) => void dialog.accept());
  await server.restart('SIGKILL');
  await until('the session to be known again', async () => {
    const answer = await page.evaluate(async () => (await fetch('/api/v1/session')).status).catch(() => 0);
    return answer === 200;
  });
  await api(page, 'PATCH', `/layers/${layer.id}`, { name: 'Renamed meanwhile' });
  await page.getByRole('link', { name: 'Renamed meanwhile' }).waitFor();
});

test('what changes between what a page has read and its stream of events is shown', async () => {
  let release;
  const held = new Promise((done) => (release = done));
  await page.route('**/api/v1/events*', async (route) => {
    await held;
    await route.continue();
  });
  page.once('dialog', (dialog) => void dialog.accept());
  await page.goto('/layers/os');
  await page.getByRole('link', { name: 'Renamed meanwhile' }).waitFor();
  await api(page, 'PATCH', `/layers/${layer.id}`, { name: 'Renamed before the stream' });
  release();
  await page.getByRole('link', { name: 'Renamed before the stream' }).waitFor();
  await page.unrouteAll();
});

test('what changes while a page still waits for its first answer is shown', async () => {
  let release, answered;
  const held = new Promise((done) => (release = done));
  const late = new Promise((done) => (answered = done));
  const hold = async (route) => {
    const response = await route.fetch();
    answered();
    await held;
    await route.fulfill({ response });
  };
  await page.route('**/api/v1/layers?*', hold, { times: 1 });
  const stream = page.waitForResponse('**/api/v1/events*');
  await page.goto('/layers/os');
  await Promise.all([late, stream]);
  await api(page, 'PATCH', `/layers/${layer.id}`, { name: 'Renamed while it waited' });
  // The event comes, and what it touches would be read again, before the answer does.
  await page.waitForTimeout(1_000);
  release();
  await page.getByRole('link', { name: 'Renamed while it waited' }).waitFor();
  await page.unrouteAll();
});
