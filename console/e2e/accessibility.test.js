// axe on every page, light and dark, wide and narrow: it finds nothing, and nothing sticks out sideways.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, axeFindings, heading, launch, openTaskBar, person, setUp } from './browser.js';
import { makeDisk } from './guest.js';
import { addVersion, importLayer } from './layers.js';
import { pages, settled } from './pages.js';
import { Server } from './server.js';

let server, browser, disk, cookies, shown;

before(async () => {
  [server, browser, disk] = await Promise.all([Server.start(), launch(), makeDisk()]);
  const { page, context } = await person(browser, server);
  await page.goto('/');
  await heading(page, 'Set up Shale');
  assert.deepEqual(await axeFindings(page), []);
  await setUp(page, server);
  const layer = await importLayer(page, 'Tiny Linux', disk.path);
  const { version, task } = await addVersion(page, layer, '1.1');
  const [connector] = (await api(page, 'GET', '/connectors')).items;
  shown = pages({ layer: layer.id, machine: version.id, task: task.id, connector: connector.id });
  cookies = await context.storageState();
});
after(async () => {
  await browser?.close();
  await server?.end();
  await disk?.remove();
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 390]) {
    test(`nothing is found on any page, ${colorScheme}, ${width} pixels wide`, async () => {
      const options = { colorScheme, viewport: { width, height: 844 }, storageState: cookies };
      const { page, context, complaints } = await person(browser, server, options);
      const found = [];
      for (const [name, path] of Object.entries(shown)) {
        await page.goto(path);
        await settled(page);
        for (const finding of await axeFindings(page)) found.push(`${name}: ${finding}`);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (over > 0) found.push(`${name}: ${over} pixels stick out`);
      }
      assert.deepEqual(found, []);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }
}

test('nothing is found with the palette, the task bar or a dialog open', async () => {
  const { page, context } = await person(browser, server, { storageState: cookies });
  await page.goto('/');
  await settled(page);
  await (await openTaskBar(page)).getByText('The Packaging Disk has been published.').waitFor();
  assert.deepEqual(await axeFindings(page), []);
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  assert.deepEqual(await axeFindings(page), []);
  await page.goto(shown.layer);
  await page.getByRole('button', { name: 'Edit Properties' }).first().click();
  await page.getByRole('dialog').waitFor();
  assert.deepEqual(await axeFindings(page), []);
  await context.close();
});
