// Keeps what is shown as the server has it: one stream of events for the whole page.
//
//   event of a task   ──▶ put into every list and page that shows it, at once; when it has ended, what it kept busy is read again
//   any other event   ──▶ what it touches is read again, a moment later, many events together
//   reset, reconnect  ──▶ everything that is shown is read again
//
// The browser takes a broken stream up again by itself with Last-Event-ID. When the server refuses the stream (it is
// being restarted behind a proxy, the session is over) the browser gives up, and this file tries again.
import type { QueryClient } from '@tanstack/react-query';
import type { TaskFilter } from './queries';
import { belongs, withTask, type TaskPages } from './taskLists';
import type { Event, Task } from './wire';

const KINDS = ['task', 'layer', 'version', 'connector', 'template', 'image', 'schedule', 'machine', 'upload', 'user', 'token', 'reset'];
const GATHER_MS = 250;
const FIRST_TRY_MS = 1_000;
const LAST_TRY_MS = 15_000;

/** What a task may have kept busy: the last word of a version comes before that of its task. */
const BUSY = [['layers'], ['layer'], ['versions'], ['version'], ['templates'], ['template']];

/** The queries, by the first words of their keys, that a change of this kind touches; of a task that has ended, more. */
export function touched(kind: string, id: string | null | undefined, ended = false): string[][] {
  const one = id ?? '';
  switch (kind) {
    case 'task':
      return [['machines'], ['machine'], ['schedules'], ...(ended ? BUSY : [])];
    case 'layer':
      return [['layers'], ['layer', one]];
    case 'version':
      return [['layers'], ['layer'], ['versions'], ['version', one], ['machines'], ['machine', one], ['repository'], ['templates'], ['template'], ['plan']];
    case 'connector':
      return [['connectors'], ['connector', one]];
    case 'template':
      return [['templates'], ['template', one], ['plan', one]];
    case 'image':
      return [['images'], ['image', one]];
    case 'machine':
      return [['machines'], ['machine', one], ['files', one]];
    default:
      return [[`${kind}s`]];
  }
}

/** Puts a task that changed into all that shows it. */
function putTask(queries: QueryClient, task: Task) {
  queries.setQueryData(['task', task.id], task);
  for (const [key, data] of queries.getQueriesData<TaskPages>({ queryKey: ['tasks'] })) {
    if (data) queries.setQueryData(key, withTask(data, task, belongs(task, key[1] as TaskFilter)));
  }
}

/** Listens until the returned function is called. `online` is told whether the stream stands. */
export function listen(queries: QueryClient, online: (yes: boolean) => void): () => void {
  let source: EventSource | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  let gathering: ReturnType<typeof setTimeout> | undefined;
  let wait = FIRST_TRY_MS;
  let lost = false;
  const stale = new Map<string, string[]>();

  const refresh = () => {
    gathering = undefined;
    for (const queryKey of stale.values()) void queries.invalidateQueries({ queryKey });
    stale.clear();
  };
  const later = (keys: string[][]) => {
    for (const key of keys) stale.set(key.join('/'), key);
    gathering ??= setTimeout(refresh, GATHER_MS);
  };
  const take = (message: MessageEvent<string>) => {
    const event = JSON.parse(message.data) as Event;
    if (event.kind === 'reset') void queries.invalidateQueries();
    else if (event.task) {
      putTask(queries, event.task);
      later(touched('task', event.id, Boolean(event.task.finished_at)));
    } else later(touched(event.kind, event.id));
  };
  const open = () => {
    source = new EventSource('/api/v1/events');
    for (const kind of KINDS) source.addEventListener(kind, take as (event: globalThis.Event) => void);
    source.onopen = () => {
      // Without an event there was no Last-Event-ID to send: whether something was missed is not known.
      if (lost) void queries.invalidateQueries();
      lost = false;
      wait = FIRST_TRY_MS;
      online(true);
    };
    source.onerror = () => {
      online(false);
      lost = true;
      if (source?.readyState !== EventSource.CLOSED) return;
      void queries.invalidateQueries({ queryKey: ['session'] });
      again = setTimeout(open, wait);
      wait = Math.min(wait * 2, LAST_TRY_MS);
    };
  };
  open();
  return () => {
    clearTimeout(again);
    clearTimeout(gathering);
    source?.close();
  };
}
