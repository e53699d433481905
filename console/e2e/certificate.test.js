// Another certificate in place of the server's own, from Settings, while pages are open.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { api, field, heading, launch, person, setUp } from './browser.js';
import { Server } from './server.js';

const run = promisify(execFile);
let server, browser, page;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
  ({ page } = await person(browser, server));
  await setUp(page, server);
});
after(async () => {
  await browser?.close();
  await server?.end();
});

/** A certificate and its key, as OpenSSL makes them, signed by another one or by itself. Answers the paths of both. */
async function signed(name, by) {
  const [certificate, key] = [join(server.data, `${name}.pem`), join(server.data, `${name}.key`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name},IP:127.0.0.1`];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '90'];
  const authority = by ? ['-CA', by.certificate, '-CAkey', by.key] : [];
  await run('openssl', ['req', '-x509', ...kind, ...subject, ...authority, '-keyout', key, '-out', certificate]);
  return { certificate, key };
}

/** A certificate with the one of the authority that signed it, its key, and its fingerprint. */
async function made(name) {
  const authority = await signed('authority.example');
  const { certificate, key } = await signed(name, authority);
  const { stdout } = await run('openssl', ['x509', '-in', certificate, '-noout', '-fingerprint', '-sha256']);
  const chain = await Promise.all([certificate, authority.certificate].map((file) => readFile(file, 'utf8')));
  return { certificate: chain.join(''), key: await readFile(key, 'utf8'), fingerprint: stdout.trim().split('=')[1] };
}

/** The fingerprint of what the server shows to who connects now. */
function shown() {
  return new Promise((told, failed) => {
    const socket = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false }, () => {
      told(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', failed);
  });
}

async function replace({ certificate, key }) {
  await page.getByLabel('Certificate and chain (PEM)').fill(certificate);
  await page.getByLabel('Private key (PEM)').fill(key);
  await field(page, 'Comment').fill('from our own authority');
  await page.getByRole('button', { name: 'Replace' }).click();
}

test('a key that belongs to another certificate is refused at its field, and nothing changes', async () => {
  const own = await made('one.example');
  const other = await made('two.example');
  const before = await shown();
  await page.goto('/settings/certificate');
  await page.getByText('Signed by itself').waitFor();
  await replace({ ...own, key: other.key });
  await page.getByText('That did not work').waitFor();
  assert.equal(await page.getByLabel('Private key (PEM)').getAttribute('aria-invalid'), 'true');
  assert.equal(await shown(), before);
});

test('the new certificate is shown to everybody at once, without a restart, and pages that are open go on', async () => {
  const next = await made('shale.example');
  const { pid } = server.child;
  await replace(next);
  await page.getByText('The certificate has been replaced.').waitFor();
  await page.getByText(next.fingerprint).waitFor();
  await page.getByText('shale.example').first().waitFor();
  assert.equal(await shown(), next.fingerprint);
  assert.equal(server.child.pid, pid);
  assert.equal(server.child.exitCode, null);
  await page.getByRole('link', { name: 'Audit' }).click();
  await page.getByRole('row', { name: /ada.*replace certificate.*from our own authority/ }).waitFor();
  const visitor = await person(browser, server);
  await visitor.page.goto('/');
  await heading(visitor.page, 'Sign in');
  await visitor.context.close();
});

test('it is still there after a restart', async () => {
  const now = await shown();
  await server.restart('SIGTERM');
  assert.equal(await shown(), now);
  await page.goto('/settings/certificate');
  await page.getByText(now).waitFor();
  assert.equal((await api(page, 'GET', '/certificate')).self_made, false);
});
