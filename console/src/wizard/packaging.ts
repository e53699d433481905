// What the wizards share that end in a packaging machine: where it runs, and on what.
//
// The same fields stand at different places of the requests: `wrong` knows where.
import type { Packaging } from '../api/wire';

export interface PackagingDraft {
  osLayer: string;
  /** Empty: the newest one. */
  osVersion: string;
  /** Chosen versions by their app layers. */
  prerequisites: Record<string, string>;
  platformLayer: string;
  platform: string;
  size: string;
  connector: string;
  file: string;
  format: string;
}

export const NO_PACKAGING: PackagingDraft = {
  osLayer: '',
  osVersion: '',
  prerequisites: {},
  platformLayer: '',
  platform: '',
  size: '',
  connector: '',
  file: '',
  format: '',
};

export interface PackagingStepProps {
  draft: PackagingDraft;
  put: (change: Partial<PackagingDraft>) => void;
  /** What is wrong with the field of this name, if anything is. */
  wrong: (field: string) => string | undefined;
}

type Machine = Pick<Packaging, 'connector_id' | 'max_layer_size_gib' | 'packaging_disk' | 'platform_version_id'>;

/** The part of a request that all packaging machines need. What was left empty is left out. */
export function machineOf(draft: PackagingDraft): Machine {
  return {
    connector_id: draft.connector,
    max_layer_size_gib: draft.size === '' ? undefined : Number(draft.size),
    platform_version_id: draft.platform || undefined,
    packaging_disk: { file_name: draft.file, format: draft.format || undefined },
  };
}
