// A browser for tests: Debian's Chromium by playwright-core, axe, and what pages complain about.
//
//   CHROMIUM    the browser's program (default: chromium)
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
// A machine that builds something else at the same time is slow. Nothing waits this long where nothing is wrong.
const PATIENCE_MS = 120_000;

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  });
}

/** A page of a person of its own. `complaints` gathers errors in the page and what its policy refused. */
export async function person(browser, server, options = {}) {
  const context = await browser.newContext({
    baseURL: server.url,
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (/content security policy|refused to/i.test(message.text())) complaints.push(message.text());
  });
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    const own = origin === server.url || protocol === 'data:' || protocol === 'blob:';
    if (!own) complaints.push(`asked another host: ${request.url()}`);
  });
  return { context, page, complaints };
}

export const ADMINISTRATOR = { name: 'ada', password: 'correct horse battery staple' };

/** Makes the first administrator and leaves the page signed in, at Home. */
export async function setUp(page, server, who = ADMINISTRATOR) {
  await page.goto('/');
  await page.getByLabel('Set-up code').fill(server.setupCode);
  await page.getByLabel('User name').fill(who.name);
  await field(page, 'Password').fill(who.password);
  await page.getByLabel('Password again').fill(who.password);
  await page.getByRole('button', { name: 'Make administrator' }).click();
  await heading(page, 'Home');
}

/** The field with exactly this label; a required one has a star behind it. */
export function field(within, label) {
  return within.getByLabel(new RegExp(`^${label}\\s*\\*?$`));
}

export async function signIn(page, who = ADMINISTRATOR) {
  await page.getByLabel('User name').fill(who.name);
  await page.getByLabel('Password').fill(who.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Waits for the page with this title, in full. */
export async function heading(page, name) {
  await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
}

/** What axe finds wrong with the page as it stands, a line each. */
export async function axeFindings(page) {
  const session = await page.context().newCDPSession(page);
  // Past the page's own policy, which rightly refuses a script that is not the console's.
  await session.send('Runtime.evaluate', { expression: axe });
  // Colours are those of what is there, and not of what fades in.
  await page.evaluate(() => {
    const ends = document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity);
    return Promise.allSettled(ends.map((one) => one.finished));
  });
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  await session.detach();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
}

/** The task bar, open. A task that begins opens it as well: a click at that moment has closed it, and is made up for. */
export async function openTaskBar(page) {
  const bar = page.getByRole('region', { name: 'Task bar' });
  const toggle = bar.getByRole('button', { name: 'Tasks' });
  await until('the task bar to be open', async () => {
    if ((await toggle.getAttribute('aria-expanded')) === 'true') return true;
    await toggle.click();
    return false;
  });
  return bar;
}

/** Requests of the page itself, signed by its own session. */
export async function api(page, method, path, body) {
  const answer = await page.evaluate(
    async ([verb, where, sent]) => {
      const { csrf } = await (await fetch('/api/v1/session')).json();
      const headers = { 'Content-Type': 'application/json', 'X-Shale-CSRF': csrf };
      const response = await fetch(`/api/v1${where}`, { method: verb, headers, body: sent && JSON.stringify(sent) });
      const text = await response.text();
      return { status: response.status, body: text === '' ? null : JSON.parse(text) };
    },
    [method, path, body],
  );
  assert.ok(answer.status < 400, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Waits until `look` answers something, asking every so often. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await new Promise((wait) => setTimeout(wait, 500));
  }
}
