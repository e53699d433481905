// Reading again what is shown, after it has changed.
//
//   shown, at rest    ──▶ read
//   being read        ──▶ what comes may have been answered before the change: read once more when it is there
import type { Query, QueryClient } from '@tanstack/react-query';

const isUnderway = ({ state }: Query) => state.fetchStatus === 'fetching';

export function rereading(queries: QueryClient) {
  const waiting = new Set<string>();
  const found = (queryKey: string[]) => queries.getQueryCache().findAll({ queryKey });
  const read = ({ queryKey }: Query) => void queries.invalidateQueries({ queryKey, exact: true });
  const once = (query: Query) => {
    const { promise, queryHash } = query;
    if (!isUnderway(query) || promise === undefined) return read(query);
    if (waiting.has(queryHash)) return;
    waiting.add(queryHash);
    const arrived = () => {
      waiting.delete(queryHash);
      // One that was given up for another is read already.
      if (!isUnderway(query)) read(query);
    };
    promise.then(arrived, arrived);
  };
  return {
    /** Reads again what has one of these keys, each once. */
    those: (keys: string[][]) => new Set(keys.flatMap(found)).forEach(once),
    /** Reads everything again, and does not wait for what may never come. */
    everything: () => {
      found([]).filter((query) => query.state.data === undefined).forEach(once);
      void queries.invalidateQueries({ predicate: (query) => query.state.data !== undefined });
    },
    /** Does something once more when what is being read with this key is there: it may be older than what was done. */
    whenRead: (key: string[], act: () => void) => {
      for (const query of found(key).filter(isUnderway)) query.promise?.then(act, () => undefined);
    },
  };
}
