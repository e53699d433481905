// The page's stream of events, and whether it stands.
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { listen } from '../api/events';
import { sessionQuery } from '../api/queries';

const PATIENCE_MS = 2_500;

/** Answers false when the server has been out of reach for longer than a blink. */
export function useEvents(): boolean {
  const queries = useQueryClient();
  const [online, setOnline] = useState(true);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    // Of no session there is no event: what is shown is read again, once.
    const newest = queries.getQueryData(sessionQuery.queryKey)?.newest_event ?? 0;
    const stop = listen(queries, newest, (yes) => {
      clearTimeout(timer);
      if (yes) setOnline(true);
      else timer = setTimeout(() => setOnline(false), PATIENCE_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [queries]);
  return online;
}
