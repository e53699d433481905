// What the list of layers can be filtered and sorted by, as it stands in the address: the server's own words.
import type { LayerSort, VersionState } from '../api/wire';

export const LAYER_SORTS: LayerSort[] = [
  'name',
  'updated_at',
  'created_at',
  'version_count',
  'logical_bytes',
  'added_bytes',
];
export const LAYER_STATES: VersionState[] = [
  'deployable',
  'editing',
  'finalizable',
  'finalizing',
  'broken',
  'deleting',
];
