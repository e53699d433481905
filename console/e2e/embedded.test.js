// The console is inside the program: what the build left is there byte for byte, so that no file has to stand beside it.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SHALED } from './server.js';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));

test('the program holds every file of the console', async () => {
  const program = await readFile(SHALED);
  const entries = await readdir(DIST, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  assert.ok(files.length > 20, `the console is not built: ${files}`);
  for (const file of files) {
    const content = await readFile(file);
    assert.ok(program.includes(content), `${file} is not in ${SHALED}: build it with --features embed-console`);
  }
});
