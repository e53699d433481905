// Keeps what is shown as the server has it: one stream of events for the whole page.
//
//   event of a task   ──▶ put into every list and page that shows it, at once; when it has ended, what it kept busy is read again
//   any other event   ──▶ what it touches is read again, a moment later, many events together
//   reset, reconnect, something about who looks    ──▶ everything that is shown is read again
//
// The stream goes on behind the newest event that the session knew of, which is read before all else: nothing changes
// unseen between what is read and the stream. The browser takes a broken stream up again by itself with Last-Event-ID.
// When the server refuses the stream (it is being restarted behind a proxy, the session is over) the browser gives up,
// and this file tries again behind the last event seen.
import type { QueryClient } from '@tanstack/react-query';
import type { TaskFilter } from './queries';
import { rereading } from './rereading';
import { belongs, withTask, type TaskPages } from './taskLists';
import type { Event, Session, Task } from './wire';

const KINDS = ['task', 'layer', 'version', 'connector', 'template', 'image', 'schedule', 'machine', 'upload', 'user', 'token', 'reset'];
const GATHER_MS = 250;
const FIRST_TRY_MS = 1_000;
const LAST_TRY_MS = 15_000;

/** Layers, versions and connectors say what uses them, and so what may be done with them. */
const USED = [['layers'], ['layer'], ['versions'], ['version'], ['connectors'], ['connector']];
/** What shows names of layers and versions, or which of them may be used. */
const NAMING = [['templates'], ['template'], ['plan'], ['machines'], ['machine'], ['schedules'], ['repository']];
/** What a task may have kept busy, or taken room with: the last word of a version comes before that of its task. */
const BUSY = [...USED, ['templates'], ['template'], ['repository'], ['audit']];

/**
 * The queries, by the first words of their keys, that a change of this kind touches; of a task that has ended, more. Of
 * one of which that is not known, the task itself as well.
 */
export function touched(kind: string, id: string | null | undefined, ended?: boolean): string[][] {
  const one = id ?? '';
  // What somebody changes stands there; but every part of an upload is an event.
  const audit = ['audit'];
  switch (kind) {
    case 'task': {
      const itself = ended === undefined ? [['tasks'], ['task', one]] : [];
      return [['machines'], ['machine'], ['schedules'], ...itself, ...(ended === false ? [] : BUSY)];
    }
    case 'layer':
    case 'version':
      return [...USED, ...NAMING, audit];
    case 'connector':
      return [['connectors'], ['connector', one], ['machines'], ['machine'], ['templates'], ['template'], audit];
    case 'template':
      return [['templates'], ['template', one], ['plan', one], ...USED, audit];
    case 'image':
      return [['images'], ...USED, ['repository'], audit];
    case 'schedule':
      return [['schedules'], ...USED, audit];
    case 'machine':
      return [['machines'], ['machine', one], ['files', one], audit];
    case 'upload':
      return [['uploads']];
    default:
      return [[`${kind}s`], audit];
  }
}

/** Puts a task that changed into all that shows it. */
function putTask(queries: QueryClient, task: Task) {
  queries.setQueryData(['task', task.id], task);
  for (const [key, data] of queries.getQueriesData<TaskPages>({ queryKey: ['tasks'] })) {
    if (data) queries.setQueryData(key, withTask(data, task, belongs(task, key[1] as TaskFilter)));
  }
}

/**
 * Listens behind the newest event that a session knew, until the returned function is called. `online` is told whether the
 * stream stands.
 */
export function listen(queries: QueryClient, session: Session | undefined, online: (yes: boolean) => void): () => void {
  let source: EventSource | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  let gathering: ReturnType<typeof setTimeout> | undefined;
  let wait = FIRST_TRY_MS;
  // Of no session there is no event: then all is read again, once.
  let last = session?.newest_event ?? 0;
  let lost = false;
  const stale = new Map<string, string[]>();
  const reread = rereading(queries);

  const refresh = () => {
    gathering = undefined;
    reread.those([...stale.values()]);
    stale.clear();
  };
  const later = (keys: string[][]) => {
    for (const key of keys) stale.set(key.join('/'), key);
    gathering ??= setTimeout(refresh, GATHER_MS);
  };
  const take = (message: MessageEvent<string>) => {
    const event = JSON.parse(message.data) as Event;
    last = event.seq;
    const { task } = event;
    if (task) {
      putTask(queries, task);
      for (const key of [['task', task.id], ['tasks']]) reread.whenRead(key, () => putTask(queries, task));
      later(touched('task', event.id, Boolean(task.finished_at)));
    } else if (event.kind === 'reset' || isMe(event)) reread.everything();
    else later(touched(event.kind, event.id));
  };
  // What they may do has changed, or they are not let in any more.
  const isMe = ({ kind, id }: Event) => kind === 'user' && id === session?.user?.id;
  const open = () => {
    source = new EventSource(`/api/v1/events?after=${last}`);
    for (const kind of KINDS) source.addEventListener(kind, take as (event: globalThis.Event) => void);
    source.onopen = () => {
      // The server ends a stream when its user has another role: what may be done is in every view.
      if (lost) reread.everything();
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
