// The tiny guest: a disk that boots by itself in seconds (tests/guest/make-tiny-disk.sh), and the shell on its port 22.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MAKE = fileURLToPath(new URL('../../tests/guest/make-tiny-disk.sh', import.meta.url));
const ANSWER_MS = 60_000;

/** Makes a disk; answers its path and how to remove it. */
export async function makeDisk() {
  const folder = await mkdtemp(join(tmpdir(), 'shale-disk-'));
  const path = join(folder, 'tiny.raw');
  await run('sh', [MAKE, path, 'bios']);
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Makes a disk whose file system is told to be an operating system's, so that layers can be made on it. */
export async function makeSystemDisk() {
  const disk = await makeDisk();
  const release = join(dirname(disk.path), 'os-release');
  await writeFile(release, 'ID=tiny\n');
  const commands = ['mkdir /usr', 'mkdir /etc', `write ${release} /etc/os-release`].join('\n');
  await writeFile(`${release}.commands`, `${commands}\n`);
  // The third partition: see make-tiny-disk.sh.
  await run('/usr/sbin/debugfs', ['-w', '-f', `${release}.commands`, `${disk.path}?offset=${10 * 1024 * 1024}`]);
  return disk;
}

/** Runs a command in the guest and waits until it has answered `done`. `address` is host:port. */
export async function inGuest(address, command) {
  const [host, port] = address.split(':');
  const until = Date.now() + ANSWER_MS;
  for (;;) {
    const answer = await once(host, Number(port), command).catch(() => '');
    if (answer.includes('done')) return answer;
    if (Date.now() > until) throw new Error(`the guest at ${address} does not answer`);
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
