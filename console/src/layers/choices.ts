// What lists of layers there are, and what they can be filtered and sorted by, as it stands in the address: the server's
// own words.
import type { LayerKind, LayerSort, VersionState } from '../api/wire';

const LAYER_KINDS: LayerKind[] = ['os', 'platform', 'app'];

/** The kind of this name, if there is one. */
export const kindOf = (name: string) => LAYER_KINDS.find((kind) => kind === name);

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
