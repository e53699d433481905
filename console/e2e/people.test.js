// Two administrators at once, roles, sessions that end, tokens.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, heading, launch, person, setUp, signIn, until } from './browser.js';
import { makeDisk } from './guest.js';
import { addVersion, importLayer } from './layers.js';
import { Server } from './server.js';

const GRACE = { name: 'grace', password: 'a quite different long sentence' };
let server, browser, disk, ada, grace, layer;

before(async () => {
  [server, browser, disk] = await Promise.all([Server.start(), launch(), makeDisk()]);
  ada = await person(browser, server);
  grace = await person(browser, server);
  await setUp(ada.page, server);
  layer = await importLayer(ada.page, 'Tiny Linux', disk.path);
});
after(async () => {
  await browser?.close();
  await server?.end();
  await disk?.remove();
});

async function newUser(page, who, role) {
  await page.goto('/settings/users');
  await page.getByRole('button', { name: 'New user' }).click();
  const dialog = page.getByRole('dialog', { name: 'New user' });
  await dialog.getByLabel('User name').fill(who.name);
  await dialog.getByLabel('Password').fill(who.password);
  await dialog.getByLabel(role).check();
  await dialog.getByRole('button', { name: 'Make it' }).click();
  await page.getByRole('row', { name: new RegExp(`${who.name}.*${role}`) }).waitFor();
}

test('a second administrator signs in, and comes back to the page that was asked for', async () => {
  await newUser(ada.page, GRACE, 'Administrator');
  await grace.page.goto(`/layers/os/${layer.id}`);
  await signIn(grace.page, { ...GRACE, password: 'wrong' });
  await grace.page.getByText('That did not work').waitFor();
  await signIn(grace.page, GRACE);
  await heading(grace.page, 'Tiny Linux');
});

test('what one does, the other sees at once; what both cannot do at once, says why', async () => {
  const add = grace.page.getByRole('button', { name: 'Add Version' }).first();
  await grace.page.getByRole('heading', { name: 'Version 1.0 Deployable' }).waitFor();
  await addVersion(ada.page, layer, '1.1');
  await grace.page.getByRole('link', { name: /1\.1/ }).waitFor();
  await until('the button to be off', async () => (await add.getAttribute('aria-disabled')) === 'true');
  await add.hover();
  await grace.page.getByRole('tooltip', { name: /is busy with the task/ }).waitFor();
});

test('the last administrator cannot be deleted, and the menu says why', async () => {
  await ada.page.goto('/settings/users');
  await ada.page.getByRole('button', { name: 'Actions for grace' }).click();
  await ada.page.getByRole('menuitem', { name: 'Delete' }).click();
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await ada.page.getByRole('row', { name: /grace/ }).waitFor({ state: 'detached' });
  await ada.page.getByRole('button', { name: 'Actions for ada' }).click();
  const remove = ada.page.getByRole('menuitem', { name: 'Delete' });
  assert.equal(await remove.getAttribute('aria-disabled'), 'true');
});

test('who was deleted is sent to sign in at once', async () => {
  await heading(grace.page, 'Sign in');
});

test('a reader sees all of it, and every button that is not a reader’s says which role it takes', async () => {
  await newUser(ada.page, GRACE, 'Reader');
  await signIn(grace.page, GRACE);
  await grace.page.getByRole('button', { name: 'Account grace' }).waitFor();
  const lacks = async (path, name) => {
    await grace.page.goto(path);
    const button = grace.page.getByRole('button', { name, exact: true }).first();
    await button.waitFor();
    assert.equal(await button.getAttribute('aria-disabled'), 'true', `${name} on ${path}`);
    await button.hover();
    await grace.page.getByRole('tooltip', { name: /needs the role (editor|administrator); you have the role reader/ }).waitFor();
  };
  await lacks('/layers/os', 'Create OS Layer');
  await lacks('/layers/os', 'Delete Versions');
  await lacks(`/layers/os/${layer.id}`, 'Edit Properties');
  await lacks('/connectors', 'New connector');
  await lacks('/connectors/new', 'Save');
  await lacks('/settings/repository', 'Check');
  await lacks('/settings/users', 'New user');
  await lacks('/settings/certificate', 'Replace');
  await lacks('/tasks', 'Cancel task');
  const refused = grace.page.getByText(/needs the role editor; you have the role reader/);
  for (const path of ['/create-os-layer', `/layers/os/${layer.id}/add-version`]) {
    await grace.page.goto(path);
    await refused.first().waitFor();
  }
  const [machine] = (await api(grace.page, 'GET', '/machines')).items;
  await grace.page.goto(`/machines/${machine.id}`);
  await grace.page.getByRole('heading', { name: 'You may not open this screen' }).waitFor();
});

test('who is given another role has its buttons on the page that is open', async () => {
  await grace.page.goto('/layers/os');
  const create = grace.page.getByRole('button', { name: 'Create OS Layer' }).first();
  await until('the button to be off', async () => (await create.getAttribute('aria-disabled')) === 'true');
  const user = (await api(ada.page, 'GET', '/users')).items.find(({ name }) => name === GRACE.name);
  await api(ada.page, 'PATCH', `/users/${user.id}`, { role: 'editor' });
  // A button that may be pressed is a link: of the one that was there nothing can be asked any more.
  await grace.page.getByRole('link', { name: 'Create OS Layer' }).first().click();
  await heading(grace.page, 'Create OS Layer');
});

test('a token is shown once, and does what its role may do', async () => {
  await ada.page.goto('/settings/tokens');
  await ada.page.getByRole('button', { name: 'New token' }).click();
  const dialog = ada.page.getByRole('dialog', { name: 'New token' });
  await dialog.getByLabel('Name').fill('nightly');
  await dialog.getByLabel('Reader').check();
  await dialog.getByRole('button', { name: 'Make it' }).click();
  const secret = await ada.page.getByRole('textbox', { name: 'Secret' }).inputValue();
  await ada.page.getByRole('button', { name: 'I have copied it' }).click();
  await ada.page.getByRole('row', { name: /nightly.*Reader.*ada/ }).waitFor();
  const request = await browser.newContext({ ignoreHTTPSErrors: true });
  const headers = { Authorization: `Bearer ${secret}` };
  const read = await request.request.get(`${server.url}/api/v1/layers`, { headers });
  assert.equal(read.status(), 200);
  const write = await request.request.patch(`${server.url}/api/v1/layers/${layer.id}`, { headers, data: { name: 'x' } });
  assert.equal(write.status(), 403);
  await request.close();
});

test('signing out ends the session', async () => {
  await ada.page.getByRole('button', { name: 'Account ada' }).click();
  await ada.page.getByRole('menuitem', { name: 'Sign out' }).click();
  await heading(ada.page, 'Sign in');
  await assert.rejects(api(ada.page, 'GET', '/layers'), /401/);
});
