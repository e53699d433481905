// What a person has entered so far, kept for this tab: a reload or a link to a step loses nothing.
import { useCallback, useState } from 'react';

export function useDraft<T extends object>(key: string, initial: T) {
  const stored = `shale.draft.${key}`;
  const [draft, setDraft] = useState<T>(() => read(stored, initial));
  const put = useCallback(
    (change: Partial<T>) =>
      setDraft((old) => {
        const next = { ...old, ...change };
        sessionStorage.setItem(stored, JSON.stringify(next));
        return next;
      }),
    [stored],
  );
  const forget = useCallback(() => sessionStorage.removeItem(stored), [stored]);
  const touched = JSON.stringify(draft) !== JSON.stringify(initial);
  return { draft, put, forget, touched };
}

function read<T extends object>(stored: string, initial: T): T {
  try {
    return { ...initial, ...JSON.parse(sessionStorage.getItem(stored) ?? '{}') };
  } catch {
    return initial;
  }
}
