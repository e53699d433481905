// A task that changed, in the lists that show it or should. Pure.
import type { TaskFilter } from './queries';
import type { Task } from './wire';

/** A list as far as it has been read. */
export interface TaskPages {
  pages: { items: Task[]; next_page_token?: string | null }[];
  pageParams: unknown[];
}

/** Whether a list with this filter shows the task (the server's own words for states: `GET /tasks`). */
export function belongs(task: Task, { state, layer_id: layer }: TaskFilter): boolean {
  if (layer !== undefined && task.layer_id !== layer) return false;
  if (state === undefined) return true;
  if (state === 'open' || state === 'ended') return Boolean(task.finished_at) === (state === 'ended');
  return task.state === state;
}

/** The list with the task as it is now: in its place, on top when it is new, or gone. No list is read again for it. */
export function withTask({ pages, ...rest }: TaskPages, task: Task, isShown: boolean): TaskPages {
  const known = pages.some((page) => page.items.some((item) => item.id === task.id));
  const put = (items: Task[]) =>
    isShown ? items.map((item) => (item.id === task.id ? task : item)) : items.filter((item) => item.id !== task.id);
  const changed = pages.map((page) => ({ ...page, items: put(page.items) }));
  const [first, ...others] = changed;
  if (known || !isShown || first === undefined) return { ...rest, pages: changed };
  const newest = first.items[0];
  const isNew = newest === undefined || task.created_at >= newest.created_at;
  return { ...rest, pages: isNew ? [{ ...first, items: [task, ...first.items] }, ...others] : changed };
}
