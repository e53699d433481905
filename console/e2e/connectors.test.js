// A connector to a XenServer pool (simulated, over the real protocol): a certificate to be trusted, a wrong password, and
// the choices that the pool offers.
import { after, before, test } from 'node:test';
import { field, heading, launch, person, setUp } from './browser.js';
import { Server, startPool } from './server.js';

let server, browser, pool, page;

before(async () => {
  [server, browser, pool] = await Promise.all([Server.start(), launch(), startPool()]);
  ({ page } = await person(browser, server));
  await setUp(page, server);
});
after(async () => {
  await browser?.close();
  await server?.end();
  await pool?.end();
});

test('the certificate is shown and trusted by one button, and a wrong password is told line by line', async () => {
  await page.goto('/connectors/new');
  await page.getByLabel('Platform').selectOption('xenserver');
  await page.getByLabel('Configuration Name').fill('pool');
  await page.getByLabel('Address').fill(pool.address);
  await page.getByLabel('User name').fill('root');
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Test' }).click();
  await page.getByRole('button', { name: 'Yes, use it' }).click();
  await page.getByText('Certificate fingerprint has been set.').waitFor();
  await page.getByRole('button', { name: 'Test' }).click();
  await page.getByText('Something that is needed does not work.').waitFor();
  await page.locator('.check-failed').getByText(/password/i).first().waitFor();
});

test('with the right password the pool offers its templates and storage, and the configuration is saved', async () => {
  await page.getByLabel('Password').fill('password');
  await page.getByRole('button', { name: 'Find on the platform' }).click();
  await page.getByText(/choices? found/).waitFor();
  for (const label of ['Template', 'Storage repository']) {
    const choice = field(page, label);
    await choice.selectOption(await choice.locator('option').nth(1).getAttribute('value'));
  }
  await page.getByRole('button', { name: 'Save' }).click();
  await heading(page, 'pool');
  await page.getByPlaceholder('stored; leave empty to keep it').waitFor();
});
