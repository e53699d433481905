// The task bar's height, and whether it is open: remembered from visit to visit.
import { useCallback, useState } from 'react';

const KEY = 'shale.task-bar';
const DEFAULT = { open: false, height: 300 };
export const LEAST_HEIGHT = 120;

/** The greatest height that leaves something of the page. */
export function mostHeight(): number {
  return Math.max(LEAST_HEIGHT, Math.round(window.innerHeight * 0.75));
}

function remembered(): typeof DEFAULT {
  try {
    return { ...DEFAULT, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
  } catch {
    return DEFAULT;
  }
}

export interface Drawer {
  open: boolean;
  height: number;
  toggle: () => void;
  show: () => void;
  resize: (height: number) => void;
}

export function useDrawer(): Drawer {
  const [state, setState] = useState(remembered);
  const put = useCallback(
    (change: (old: typeof DEFAULT) => Partial<typeof DEFAULT>) =>
      setState((old) => {
        const next = { ...old, ...change(old) };
        localStorage.setItem(KEY, JSON.stringify(next));
        return next;
      }),
    [],
  );
  return {
    ...state,
    toggle: useCallback(() => put((old) => ({ open: !old.open })), [put]),
    show: useCallback(() => put(() => ({ open: true })), [put]),
    resize: useCallback(
      (height: number) => put(() => ({ height: Math.min(Math.max(height, LEAST_HEIGHT), mostHeight()) })),
      [put],
    ),
  };
}
