// A real server of its own for a test: data in a new folder, a free port, stopped and removed at the end.
//
//   SHALED    the server's program (default: the debug build)
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const built = (name) => fileURLToPath(new URL(`../../target/debug/${name}`, import.meta.url));
export const SHALED = process.env.SHALED ?? built('shaled');
const READY_MS = 60_000;
const STOPPED_MS = 30_000;

/** A port of 127.0.0.1 that nothing listens on. */
export async function freePort() {
  const probe = createServer();
  await new Promise((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

/** Starts a program and waits for a line that `ready` matches. Answers the process and all lines so far. */
export async function start(program, args, ready) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, SHALE_LOG: 'warn' } });
  const lines = [];
  const listened = new Promise((found, failed) => {
    const late = setTimeout(() => failed(new Error(`${program} is not ready:\n${lines.join('\n')}`)), READY_MS);
    const take = (line) => {
      lines.push(line);
      if (!ready.test(line)) return;
      clearTimeout(late);
      found();
    };
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', take);
    child.once('error', failed);
    child.once('exit', (code) => failed(new Error(`${program} ended with ${code}:\n${lines.join('\n')}`)));
  });
  await listened;
  return { child, lines };
}

export async function stop(child, signal = 'SIGTERM') {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), STOPPED_MS);
  await ended;
  clearTimeout(late);
}

export class Server {
  /** A new server that nobody has set up. */
  static async start() {
    const server = new Server();
    server.data = await mkdtemp(join(tmpdir(), 'shale-e2e-'));
    server.port = await freePort();
    server.url = `https://127.0.0.1:${server.port}`;
    await server.run();
    return server;
  }

  async run() {
    const args = ['serve', '--data', this.data, '--listen', `127.0.0.1:${this.port}`];
    // The set-up code, or the certificate after the first start, is the last line it prints.
    const { child, lines } = await start(SHALED, args, /certificate/);
    this.child = child;
    this.lines = lines;
  }

  /** What the server printed for the first start. */
  get setupCode() {
    const line = this.lines.find((one) => one.includes('set-up code'));
    const code = /[0-9A-Z]{4}-[0-9A-Z]{4}/.exec(line ?? '')?.[0];
    assert.ok(code, `no set-up code in:\n${this.lines.join('\n')}`);
    return code;
  }

  async restart(signal) {
    await stop(this.child, signal);
    await this.run();
  }

  /** What the API answers on the server's own socket. */
  async ask(method, path) {
    const options = { socketPath: join(this.data, 'shaled.sock'), method, path: `/api/v1${path}` };
    return new Promise((answered, failed) => {
      const asking = request(options, (response) => {
        let text = '';
        response.on('data', (part) => (text += part));
        response.on('end', () => answered(JSON.parse(text)));
      });
      asking.on('error', failed).end();
    });
  }

  /** Machines outlive their server: what still waits for a person is cancelled first. */
  async end() {
    try {
      for (const { id } of (await this.ask('GET', '/tasks?state=open')).items) {
        await this.ask('POST', `/tasks/${id}/cancel`);
        await this.ask('GET', `/tasks/${id}?wait=30`);
      }
    } finally {
      await stop(this.child);
      await rm(this.data, { recursive: true, force: true });
    }
  }
}

/** A simulated XenServer pool with TLS, whose machines run only if asked for. Answers its address, and `end` to stop it. */
export async function startPool({ machines = false } = {}) {
  const state = await mkdtemp(join(tmpdir(), 'shale-pool-'));
  const [port, tls] = [await freePort(), await freePort()];
  const args = ['--state', state, '--listen', `127.0.0.1:${port}`, '--tls', String(tls)];
  if (!machines) args.push('--no-machines');
  const { child, lines } = await start(process.env.XAPI_SIM ?? built('xapi-sim'), args, /127\.0\.0\.1/);
  const end = async () => {
    await stop(child);
    await rm(state, { recursive: true, force: true });
  };
  return { address: `https://127.0.0.1:${tls}`, lines, end };
}
