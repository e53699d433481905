// What people read: sizes, spans, and commands they can copy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.js';

const { bytes } = await load('show/bytes.ts');
const { span, when } = await load('show/time.ts');
const { addVersionCommand, curlCommand, importCommand, word } = await load('wizard/commands.ts');

test('sizes have three digits at most', () => {
  for (const [count, text] of [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [10 * 1024, '10.0 KiB'],
    [100 * 2 ** 30, '100 GiB'],
    [2 ** 62, '4096 PiB'],
  ]) {
    assert.equal(bytes(count), text);
  }
});

test('spans have two units at most', () => {
  for (const [seconds, text] of [
    [-1, '0 s'],
    [59.4, '59 s'],
    [60, '1 min'],
    [125, '2 min 5 s'],
    [3600, '1 h'],
    [5400, '1 h 30 min'],
  ]) {
    assert.equal(span(seconds), text);
  }
});

test('a moment is told as how long ago it was, for a day', () => {
  const now = Date.parse('2026-11-22T12:00:00Z');
  assert.equal(when('2026-11-22T11:59:30Z', now), 'just now');
  assert.equal(when('2026-11-22T11:30:00Z', now), '30 min ago');
  assert.equal(when('2026-11-22T02:00:00Z', now), '10 h ago');
  assert.match(when('2026-11-20T12:00:00Z', now), /2026/);
});

test('a word that a shell would take apart is quoted, and one that ends a quote is too', () => {
  assert.equal(word('plain-1.0'), 'plain-1.0');
  assert.equal(word('Windows Server'), "'Windows Server'");
  assert.equal(word("it's $(rm)"), `'it'\\''s $(rm)'`);
  assert.equal(word(''), "''");
});

test('the command line says what was chosen and leaves out what was not', () => {
  const body = {
    id: 'x',
    name: '1.1',
    connector_id: 'c',
    packaging_disk: { file_name: 'tiny', format: undefined },
    max_layer_size_gib: undefined,
    comment: 'patch day',
  };
  const line = addVersionCommand(body, { layer: 'Tiny Linux', connector: 'local' });
  assert.equal(line.replaceAll(/ \\\n +/g, ' '), "shale version add 'Tiny Linux' 1.1 --connector local --disk tiny --comment 'patch day'");
  const layer = { name: 'L', version: { name: '1' }, drop_free_space: false };
  assert.equal(importCommand(layer, '/srv/a.raw').replaceAll(/ \\\n +/g, ' '), 'shale layer import L --version 1 --file /srv/a.raw --keep-free-space');
  assert.match(curlCommand('https://a:1', '/api/v1/layers', { name: "it's" }), /--data '\{\n {2}"name": "it'\\''s"\n\}'$/);
});
