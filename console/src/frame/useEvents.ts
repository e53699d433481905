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
    const stop = listen(queries, queries.getQueryData(sessionQuery.queryKey), (yes) => {
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
