// Pictures of every page, 1280 and 390 pixels wide, light and dark, into e2e/shots (or the folder that is named).
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { api, launch, person, setUp } from './browser.js';
import { makeSystemDisk } from './guest.js';
import { addVersion, importLayer, publish } from './layers.js';
import { imagePages, pages, settled } from './pages.js';
import { Server } from './server.js';

const [folder = fileURLToPath(new URL('shots', import.meta.url))] = process.argv.slice(2);
const [server, browser, disk] = await Promise.all([Server.start(), launch(), makeSystemDisk()]);
try {
  await mkdir(folder, { recursive: true });
  const { page, context } = await person(browser, server);
  await page.goto('/');
  await settled(page);
  await page.screenshot({ path: `${folder}/setup.png` });
  await setUp(page, server);
  const layer = await importLayer(page, 'Debian 12', disk.path);
  await importLayer(page, 'Windows Server 2025', disk.path);
  const { version, task } = await addVersion(page, layer, '1.1');
  const [connector] = (await api(page, 'GET', '/connectors')).items;
  const [template] = [await publish(page, layer, 'Office Desk'), await publish(page, layer, 'Call Centre')];
  const ids = { layer: layer.id, machine: version.id, task: task.id, connector: connector.id };
  const shown = { ...pages(ids), ...imagePages(template.id) };
  const { cookies } = await context.storageState();
  const storageState = { cookies, origins: [] };
  for (const width of [1280, 390]) {
    for (const colorScheme of ['light', 'dark']) {
      const viewport = { width, height: 844 };
      const visitor = await person(browser, server, { colorScheme, viewport, storageState });
      for (const [name, path] of Object.entries(shown)) {
        await visitor.page.goto(path);
        await settled(visitor.page);
        if (name.startsWith('machine')) await visitor.page.waitForTimeout(1_500);
        await visitor.page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png` });
      }
      await visitor.context.close();
    }
  }
} finally {
  await browser.close();
  await server.end();
  await disk.remove();
}
console.log(`pictures are in ${folder}`);
