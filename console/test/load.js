// Loads a module of the console, which is TypeScript, into a test.
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

export async function load(path) {
  const { module } = await runnerImport(fileURLToPath(new URL(`../src/${path}`, import.meta.url)), { configFile: false });
  return module;
}
