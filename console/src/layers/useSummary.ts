// What a list shows of a layer beyond the layer itself: the state and the sizes of its versions.
//
// Read for the layers in sight only, and kept as long as nothing changes.
import { useQuery } from '@tanstack/react-query';
import { versionsQuery } from '../api/queries';
import type { Layer, Version } from '../api/wire';

export interface Summary {
  /** The version that was made last, whatever its state. */
  newest?: Version;
  /** Data in the newest deployable version. */
  data?: number;
  /** What all its versions added to the repository. */
  stored?: number;
}

export function useSummary(layer: Layer): Summary {
  const { data: versions } = useQuery(versionsQuery(layer.id));
  if (versions === undefined) return {};
  const deployable = versions.find((version) => version.id === layer.newest_deployable);
  return {
    newest: versions.at(-1),
    data: deployable?.sizes?.logical_bytes,
    stored: versions.reduce((sum, version) => sum + (version.sizes?.added_bytes ?? 0), 0),
  };
}
