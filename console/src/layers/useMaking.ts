// Who made a version, and with which comment: told by the task that made it.
import { useQuery } from '@tanstack/react-query';
import { asked, client } from '../api/client';
import type { Version } from '../api/wire';

const MAKING = new Set(['import_os_layer', 'add_version']);

export function useMaking(version: Version): { who: string; comment: string } | undefined {
  const { data } = useQuery({
    queryKey: ['making', version.id],
    queryFn: async () => {
      const query = { version_id: version.id, limit: 100 };
      const { items } = await asked(client.GET('/api/v1/tasks', { params: { query } }));
      const task = items.find((one) => MAKING.has(one.kind));
      return task ? { who: task.created_by, comment: task.comment } : null;
    },
    staleTime: Infinity,
  });
  return data ?? undefined;
}
