// What is read again when something changed: all of it that is shown, once, and no answer from before the change stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { load } from './load.js';

const { rereading } = await load('api/rereading.ts');

/** A query that a page shows. Its reads are answered by hand: each with how many were asked for by then. */
function shown(queries, queryKey) {
  const answers = [];
  const queryFn = () => new Promise((answer) => answers.push(answer));
  const stop = new QueryObserver(queries, { queryKey, queryFn }).subscribe(() => {});
  const answer = async (read, value) => {
    answers[read](value);
    await new Promise(setImmediate);
  };
  return { answers, answer, stop, get data() { return queries.getQueryData(queryKey); } };
}

test('what two keys touch is read once', async () => {
  const queries = new QueryClient();
  const machine = shown(queries, ['machine', 'a']);
  await machine.answer(0, 'off');
  rereading(queries).those([['machine', 'a'], ['machine']]);
  assert.equal(machine.answers.length, 2);
  await machine.answer(1, 'on');
  assert.deepEqual([machine.answers.length, machine.data], [2, 'on']);
  machine.stop();
});

test('what is being read when it changes is read once more when it is there, however often it changed', async () => {
  const queries = new QueryClient();
  const layers = shown(queries, ['layers']);
  const reread = rereading(queries);
  for (let change = 0; change < 5; change += 1) reread.those([['layers']]);
  assert.equal(layers.answers.length, 1);
  await layers.answer(0, 'before');
  assert.equal(layers.answers.length, 2);
  await layers.answer(1, 'after');
  assert.deepEqual([layers.answers.length, layers.data], [2, 'after']);
  layers.stop();
});

test('a read that never ends is given up when everything is read again', async () => {
  const queries = new QueryClient();
  const layers = shown(queries, ['layers']);
  await layers.answer(0, 'one');
  const reread = rereading(queries);
  reread.those([['layers']]);
  reread.everything();
  assert.equal(layers.answers.length, 3);
  await layers.answer(2, 'two');
  assert.deepEqual([layers.answers.length, layers.data], [3, 'two']);
  layers.stop();
});

test('what an event tells is put over an answer from before it, and nothing is read for it', async () => {
  const queries = new QueryClient();
  const task = shown(queries, ['task', 'a']);
  const put = () => queries.setQueryData(['task', 'a'], 'done');
  const reread = rereading(queries);
  for (let event = 0; event < 5; event += 1) {
    put();
    reread.whenRead(['task', 'a'], put);
  }
  await task.answer(0, 'running');
  assert.deepEqual([task.answers.length, task.data], [1, 'done']);
  task.stop();
});
