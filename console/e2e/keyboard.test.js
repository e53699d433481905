// The console by keyboard alone, and past the ends of lists.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADMINISTRATOR, heading, launch, person, setUp } from './browser.js';
import { Server } from './server.js';

let server, browser, page;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
  ({ page } = await person(browser, server));
  await setUp(page, server);
  await page.context().clearCookies();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

const press = async (...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};

test('one signs in, skips to the content, and goes anywhere without a mouse', async () => {
  await page.goto('/');
  await heading(page, 'Sign in');
  await page.keyboard.type(ADMINISTRATOR.name);
  await press('Tab');
  await page.keyboard.type(ADMINISTRATOR.password);
  await press('Enter');
  await heading(page, 'Home');
  await page.reload();
  await heading(page, 'Home');
  await press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to content');
  await press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
  await press('Control+k');
  await page.locator('[role=combobox]:focus').waitFor();
  await page.keyboard.type('audit');
  await page.getByRole('option', { name: 'Audit', selected: true }).waitFor();
  await press('Enter');
  await heading(page, 'Audit');
  await press('/');
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), 'Filter by user, action, object or comment');
  await page.keyboard.type('nothing like it');
  await page.waitForURL(/q=nothing/);
});

test('Esc closes what is open and gives the focus back', async () => {
  await page.goto('/settings/repository');
  const check = page.getByRole('button', { name: 'Check', exact: true });
  await check.focus();
  await press('Enter');
  await page.getByRole('dialog').waitFor();
  await press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await check.and(page.locator(':focus')).waitFor();
});

test('the task bar opens by a key and is resized by keys', async () => {
  await page.goto('/');
  await heading(page, 'Home');
  await press('t');
  const handle = page.getByRole('separator', { name: 'Height of the task bar' });
  const was = Number(await handle.getAttribute('aria-valuenow'));
  await handle.focus();
  await press('ArrowUp');
  assert.ok(Number(await handle.getAttribute('aria-valuenow')) > was);
});

test('g and l go to the layers, and a new page is announced', async () => {
  await page.goto('/audit');
  await heading(page, 'Audit');
  await press('g', 'l');
  await heading(page, 'OS Layers');
  await page.getByText('OS Layers, page loaded').waitFor({ state: 'attached' });
});

test('a thousand layers are read page by page, and drawn only where they are seen', async () => {
  const when = new Date().toISOString();
  const layer = (n) => ({
    id: `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`,
    kind: 'os',
    name: `Layer ${n}`,
    description: '',
    created_at: when,
    updated_at: when,
    version_count: 20,
    newest_version: '1.19',
    state: 'deployable',
    sizes: { logical_bytes: 12 << 20, added_bytes: 1 << 20 },
    used_by: [],
    actions: [],
  });
  await page.route('**/api/v1/layers?*', (route) => {
    const from = Number(new URL(route.request().url()).searchParams.get('page_token') ?? 0);
    const items = Array.from({ length: 200 }, (_, n) => layer(from + n));
    return route.fulfill({ json: { items, next_page_token: from < 800 ? String(from + 200) : null } });
  });
  for (const view of ['tiles', 'table']) {
    await page.goto(`/layers/os?view=${view}`);
    await page.getByRole('link', { name: 'Layer 0', exact: true }).waitFor();
    await page.getByText('200 layers or more').waitFor();
    const list = page.getByRole('region', { name: 'OS Layers' });
    await list.evaluate((scroller) => setInterval(() => scroller.scrollTo(0, scroller.scrollHeight), 100));
    await page.getByRole('link', { name: 'Layer 999', exact: true }).waitFor();
    await page.getByText('1000 layers', { exact: true }).waitFor();
    assert.ok((await page.getByRole('checkbox').count()) < 120);
  }
  await page.unrouteAll();
});

test('five thousand tasks are read page by page, and drawn only where they are seen', async () => {
  const at = new Date().toISOString();
  const task = (n) => ({
    id: `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`,
    kind: 'verify_version',
    title: `Task ${n}.`,
    state: 'done',
    steps: [],
    created_by: 'ada',
    comment: '',
    created_at: at,
    updated_at: at,
    finished_at: at,
    actions: [],
  });
  await page.route('**/api/v1/tasks?*', (route) => {
    const from = Number(new URL(route.request().url()).searchParams.get('page_token') ?? 0);
    const items = Array.from({ length: 200 }, (_, n) => task(from + n));
    return route.fulfill({ json: { items, next_page_token: from < 4800 ? String(from + 200) : null } });
  });
  await page.goto('/tasks');
  const list = page.getByRole('region', { name: 'Tasks', exact: true });
  await list.getByText('Task 0.', { exact: true }).waitFor();
  await list.evaluate((scroller) => setInterval(() => scroller.scrollTo(0, scroller.scrollHeight), 100));
  await list.getByText('Task 4999.', { exact: true }).waitFor();
  assert.ok((await list.getByRole('listitem').count()) < 80);
  await page.unrouteAll();
});
