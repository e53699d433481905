// The tiny guest: a disk that boots by itself in seconds (tests/guest/make-tiny-disk.sh), and the shell on its port 22.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { api, until } from './browser.js';

const run = promisify(execFile);
const MAKE = fileURLToPath(new URL('../../tests/guest/make-tiny-disk.sh', import.meta.url));
const ANSWER_MS = 120_000;

/** Makes a disk; answers its path and how to remove it. */
export async function makeDisk() {
  const folder = await mkdtemp(join(tmpdir(), 'shale-disk-'));
  return made(folder, []);
}

/**
 * Makes a disk whose file system is told to be an operating system's, so that layers can be made on it, and whose guest
 * shows a login prompt when it is up.
 */
export async function makeSystemDisk() {
  const folder = await mkdtemp(join(tmpdir(), 'shale-disk-'));
  const [scripts, system] = [join(folder, 'run'), join(folder, 'system')];
  await mkdir(scripts);
  await writeFile(join(scripts, 'always'), 'echo "tiny login: "\n');
  await mkdir(join(system, 'usr'), { recursive: true });
  await mkdir(join(system, 'etc'));
  await writeFile(join(system, 'etc', 'os-release'), 'ID=tiny\n');
  return made(folder, [scripts, system]);
}

async function made(folder, contents) {
  const path = join(folder, 'tiny.raw');
  await run('sh', [MAKE, path, 'bios', ...contents]);
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Runs a command in a machine's guest and waits until it has answered `done`. */
export async function inGuest(page, machine, command) {
  // The server does not wait for a platform that is slow to answer: then it tells no address.
  const address = await until('the address of the guest', async () => (await api(page, 'GET', `/machines/${machine}`)).ssh);
  const [host, port] = address.split(':');
  const end = Date.now() + ANSWER_MS;
  for (;;) {
    const answer = await once(host, Number(port), command).catch(() => '');
    if (answer.includes('done')) return answer;
    if (Date.now() > end) throw new Error(`the guest at ${address} does not answer`);
    await new Promise((wait) => setTimeout(wait, 1_000));
  }
}

function once(host, port, command) {
  return new Promise((answered, failed) => {
    const socket = connect({ host, port });
    let text = '';
    socket.setTimeout(5_000, () => socket.destroy(new Error('silent')));
    socket.on('data', (data) => {
      text += data;
      if (text.includes('done')) socket.end();
    });
    socket.on('error', failed);
    socket.on('close', () => answered(text));
    socket.write(`${command} && echo done\n`);
  });
}
