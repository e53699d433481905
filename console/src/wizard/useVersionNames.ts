// Versions by their ids, as the command line takes them: LAYER/VERSION.
import { useQueries } from '@tanstack/react-query';
import { versionQuery } from '../api/queries';

export type VersionNamesById = ReadonlyMap<string, string>;

export function useVersionNames(ids: string[]): VersionNamesById {
  return useQueries({
    queries: ids.map((id) => versionQuery(id)),
    combine: (answers) =>
      new Map(answers.flatMap(({ data }) => (data ? [[data.id, `${data.layer_name}/${data.name}`] as const] : []))),
  });
}
