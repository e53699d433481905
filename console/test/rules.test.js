// What the console works out for itself: ids, keys, lanes, lists, and where to go after signing in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.js';

const { newId } = await load('api/uuid.ts');
const { belongs, withTask } = await load('api/taskLists.ts');
const { lanes } = await load('layers/lanes.ts');
const { keysOf } = await load('machines/keys.ts');
const { able, OWN, publication, usualTarget } = await load('images/publish.ts');
const { touched } = await load('api/events.ts');
const { safeReturn } = await load('session/safeReturn.ts');

test('ids are UUIDs of version 7 and rise with time', () => {
  const [early, late] = [newId(1_700_000_000_000), newId(1_700_000_000_001)];
  for (const id of [early, late]) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(early < late);
  assert.equal(early.slice(0, 13), '018bcfe5-6800');
});

test('text is typed with the keys of a US keyboard', () => {
  assert.deepEqual(keysOf('aA!\r\n\té€'), [
    { keysym: 0x61, shift: false },
    { keysym: 0x41, shift: true },
    { keysym: 0x21, shift: true },
    { keysym: 0xff0d, shift: false },
    { keysym: 0xff09, shift: false },
    { keysym: 0xe9, shift: false },
    { keysym: 0x010020ac, shift: false },
  ]);
});

test('a version goes on in the lane of its base if it is the first to do so', () => {
  const of = (...pairs) => lanes(pairs.map(([id, base_version_id]) => ({ id, base_version_id })));
  assert.deepEqual(of(['a'], ['b', 'a'], ['c', 'b']), [0, 0, 0]);
  assert.deepEqual(of(['a'], ['b', 'a'], ['c', 'a'], ['d', 'b'], ['e', 'c']), [0, 0, 1, 0, 1]);
  assert.deepEqual(of(['b', 'deleted'], ['c', 'deleted']), [0, 1]);
});

test('one template is published where it says, several each where its own says, unless a person says otherwise', () => {
  const kinds = [{ kind: 'local', boots_images: true }, { kind: 'pool', takes_images: true }];
  const connectors = [{ id: 'a', kind: 'local' }, { id: 'b', kind: 'pool' }];
  const taking = able(connectors, kinds, 'takes_images');
  assert.deepEqual([taking.map(({ id }) => id), able(connectors, kinds, 'boots_images').map(({ id }) => id)], [['b'], ['a']]);
  const [here, there] = [{ connector_id: 'a' }, { connector_id: 'b' }];
  assert.deepEqual([[here], [there], [here, there]].map((some) => usualTarget(some, taking)), ['', 'b', OWN]);
  assert.equal(usualTarget([here, there], []), '');
  const said = ({ connector_id: connector, upload, boot_and_check: boot }) => [connector, upload, boot];
  assert.deepEqual(said(publication({ target: OWN }, 'id', '')), [undefined, undefined, false]);
  assert.deepEqual(said(publication({ target: '' }, 'id', '')), [undefined, false, false]);
  assert.deepEqual(said(publication({ target: 'b', bootOn: 'a' }, 'id', '')), ['b', true, true]);
});

test('what a task kept busy is read again when it has ended, not while it goes on', () => {
  const words = (ended) => touched('task', 'id', ended).map(([word]) => word);
  assert.ok(words(true).includes('layer') && words(true).includes('template'));
  assert.ok(!words(false).includes('layer') && words(false).includes('machine'));
  assert.ok(words(true).includes('repository') && !words(true).includes('tasks'));
  assert.ok(words(undefined).includes('tasks') && words(undefined).includes('layer'), 'it is not known which');
});

test('what says who uses something is read again when one of the users changes', () => {
  const words = (kind) => touched(kind, 'id').map(([word]) => word);
  for (const kind of ['layer', 'version', 'template', 'image', 'schedule']) {
    for (const used of ['layers', 'layer', 'versions', 'version']) assert.ok(words(kind).includes(used), `${kind}: ${used}`);
  }
  for (const kind of ['version', 'template', 'schedule']) assert.ok(words(kind).includes('connector'), kind);
  assert.ok(words('layer').includes('template'), 'its name is there');
});

test('after signing in nobody is sent to another host', () => {
  assert.equal(safeReturn('/layers/os?q=a'), '/layers/os?q=a');
  for (const evil of [undefined, '', 'https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)']) {
    assert.equal(safeReturn(evil), '/');
  }
});

const task = (id, more = {}) => ({ id, state: 'running', created_at: '2026-01-01T00:00:00Z', ...more });
const list = (...pages) => ({ pages: pages.map((items) => ({ items })), pageParams: [] });
const shown = ({ pages }) => pages.map((page) => page.items.map(({ id, state }) => `${id} ${state}`));

test('a task that changed stands in its place, or is gone from a list that does not show it any more', () => {
  const old = list([task('c'), task('b')], [task('a')]);
  const done = task('a', { state: 'done', finished_at: 'x' });
  assert.deepEqual(shown(withTask(old, done, true)), [['c running', 'b running'], ['a done']]);
  assert.deepEqual(shown(withTask(old, done, belongs(done, { state: 'open' }))), [['c running', 'b running'], []]);
});

test('a new task comes on top; an old one that has not been read yet is left to its page', () => {
  const old = list([task('b', { created_at: '2026-02-01T00:00:00Z' })]);
  old.pages[0].next_page_token = 'more';
  assert.deepEqual(shown(withTask(old, task('c', { created_at: '2026-03-01T00:00:00Z' }), true)), [['c running', 'b running']]);
  assert.deepEqual(shown(withTask(old, task('a'), true)), [['b running']]);
  assert.deepEqual(shown(withTask(list([]), task('a'), true)), [['a running']]);
});

test('a task that comes to a list later than newer ones has its place among them', () => {
  const at = (day) => ({ created_at: `2026-01-0${day}T00:00:00Z` });
  const old = list([task('d', at(4)), task('c', at(3))], [task('a', at(1))]);
  assert.deepEqual(shown(withTask(old, task('b', at(2)), true)), [['d running', 'c running'], ['b running', 'a running']]);
  assert.deepEqual(shown(withTask(list([task('b', at(2))]), task('a', at(1)), true)), [['b running', 'a running']]);
  assert.deepEqual(shown(old)[1], ['a running'], 'the list before stays as it was');
});

test('a list of one layer shows the tasks of that layer only', () => {
  assert.equal(belongs(task('a', { layer_id: 'l' }), { layer_id: 'l' }), true);
  assert.equal(belongs(task('a', { layer_id: 'k' }), { layer_id: 'l' }), false);
  assert.equal(belongs(task('a', { state: 'stuck' }), { state: 'stuck' }), true);
});
