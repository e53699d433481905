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

/** The list with the task as it is now: where it was, where it belongs by its age, or gone. No list is read again for it. */
export function withTask({ pages, ...rest }: TaskPages, task: Task, isShown: boolean): TaskPages {
  const known = pages.some((page) => page.items.some((item) => item.id === task.id));
  const put = (items: Task[]) =>
    isShown ? items.map((item) => (item.id === task.id ? task : item)) : items.filter((item) => item.id !== task.id);
  const changed = pages.map((page) => ({ ...page, items: put(page.items) }));
  if (!known && isShown) insert(changed, task);
  return { ...rest, pages: changed };
}

/** Puts a task before the first that is no newer. One that is older than all is left to the next page, if there is one. */
function insert(pages: TaskPages['pages'], task: Task) {
  for (const page of pages) {
    const at = page.items.findIndex((item) => item.created_at <= task.created_at);
    if (at >= 0) return void page.items.splice(at, 0, task);
  }
  const last = pages.at(-1);
  if (last && !last.next_page_token) last.items.push(task);
}
