// What a machine's screen says, as read by a program that knows nothing of us.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { until } from './browser.js';

const run = promisify(execFile);

/** The words on a picture. `file` is where it is kept for the reader. */
async function wordsOn(picture, file) {
  await writeFile(file, picture);
  const { stdout } = await run('tesseract', [file, '-', '--psm', '6']);
  return stdout;
}

/** Opens the machine's screen in a window of its own, and waits until the words on it match. */
export async function screenSays(context, machine, words, file) {
  const alone = await context.newPage();
  await alone.setViewportSize({ width: 1460, height: 900 });
  await alone.goto(`/machines/${machine}/screen`);
  const canvas = alone.locator('.screen[data-state=connected] canvas');
  await canvas.waitFor();
  await until(`${words} on the screen`, async () => words.test(await wordsOn(await canvas.screenshot(), file)));
  await alone.close();
}
