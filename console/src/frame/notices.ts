// Short notices in the corner: what went wrong with something that was asked for by one click.
import { useSyncExternalStore } from 'react';
import { asRefusal } from '../api/refusal';

export interface Notice {
  key: number;
  variant: 'danger' | 'success';
  text: string;
}

let notices: Notice[] = [];
let next = 0;
const listeners = new Set<() => void>();

function set(to: Notice[]) {
  notices = to;
  for (const listener of listeners) listener();
}

/** Shows why something was refused. */
export function tellRefusal(error: unknown) {
  set([...notices, { key: next++, variant: 'danger', text: asRefusal(error).message }]);
}

/** Shows that something has worked, where the page itself does not show it. */
export function tell(text: string) {
  set([...notices, { key: next++, variant: 'success', text }]);
}

export function dismiss(key: number) {
  set(notices.filter((notice) => notice.key !== key));
}

export function useNotices(): Notice[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    () => notices,
  );
}
