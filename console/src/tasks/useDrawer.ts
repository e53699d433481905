// The task bar's height, and whether it is open: remembered from visit to visit.
import { useCallback, useState } from 'react';

const KEY = 'shale.task-bar';
export const LEAST_HEIGHT = 120;
/** How high it gets by itself, as far as there is something to show. */
export const USUAL_HEIGHT = 320;

interface Remembered {
  open: boolean;
  /** As the person has chosen it. */
  height?: number;
}

/** The greatest height that leaves something of the page. */
export function mostHeight(): number {
  return Math.max(LEAST_HEIGHT, Math.round(window.innerHeight * 0.75));
}

function remembered(): Remembered {
  try {
    return { open: false, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
  } catch {
    return { open: false };
  }
}

export interface Drawer extends Remembered {
  toggle: () => void;
  show: () => void;
  resize: (height: number) => void;
}

export function useDrawer(): Drawer {
  const [state, setState] = useState(remembered);
  const put = useCallback(
    (change: (old: Remembered) => Partial<Remembered>) =>
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
