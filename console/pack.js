// Packs what was built, and fails the build when a browser would load too much of it at first, or ask another host.
//
// Every text file gets a .br and a .gz beside it: the server sends the one that the browser takes.
// First load = index.html's own scripts and styles, and all they import at once. Chunks that are loaded when they are
// needed (pages, wizards, noVNC) do not count.
// licences.txt has the licences of all that is built in: noVNC's (MPL-2.0) and others' want to come along.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const BUDGET = 350 * 1024;
const dist = new URL('./dist/', import.meta.url);
const read = (path) => readFileSync(new URL(path, dist));
const html = read('index.html').toString();

const wanted = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1]);
const seen = new Set();
for (const path of wanted) {
  if (seen.has(path)) continue;
  seen.add(path);
  if (!path.endsWith('.js')) continue;
  for (const [, name] of read(path).toString().matchAll(/(?:from|import)\s*["'`]\.\/([^"'`]+\.js)["'`]/g)) {
    wanted.push(`assets/${name}`);
  }
}

const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', import.meta.url)));
const licences = Object.entries(packages)
  .filter(([path, { dev, optional }]) => path !== '' && !dev && !optional)
  .map(([path, { version, license }]) => {
    const folder = new URL(`${path}/`, import.meta.url);
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => /^(licen[cs]e|copying)/i.test(name)) : [];
    const texts = names.map((name) => readFileSync(new URL(name, folder), 'utf8'));
    return [`${path.replace(/^.*node_modules\//, '')} ${version} (${license})`, ...texts].join('\n\n');
  });
writeFileSync(new URL('licences.txt', dist), licences.join(`\n\n${'='.repeat(80)}\n\n`));

const packed = new Map();
for (const path of readdirSync(dist, { recursive: true }).filter((name) => /\.(?:js|css|html|svg|txt)$/.test(name))) {
  const plain = read(path);
  packed.set(path, gzipSync(plain, { level: 9 }));
  writeFileSync(new URL(`${path}.gz`, dist), packed.get(path));
  writeFileSync(new URL(`${path}.br`, dist), brotliCompressSync(plain));
}

const sum = (paths) => [...paths].reduce((total, path) => total + packed.get(path).length, 0);
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
console.log(`first load ${kib(sum(seen))} gz of ${kib(BUDGET)}; all of it ${kib(sum(packed.keys()))} gz`);
if (sum(seen) > BUDGET) throw new Error('The first load is over its budget: load something later.');
if (/(?:src|href)="https?:/.test(html)) throw new Error('index.html names another host.');
