// OS Layer: what the packaging machine runs, and which version of it.
import type { Layer } from '../api/wire';
import { words } from '../words';
import { LayerChoices } from './LayerChoices';
import type { PackagingStepProps } from './packaging';

const { addVersion: say } = words.wizard;

export function OsLayerStep({ draft, put, wrong, layers }: PackagingStepProps & { layers: Layer[] }) {
  const choose = (chosen: Record<string, string>) => {
    const [[layer, version] = ['', '']] = Object.entries(chosen);
    // Layers of another OS layer do not go with this one.
    const others = layer === draft.osLayer ? {} : { prerequisites: {}, platformLayer: '', platform: '' };
    put({ osLayer: layer, osVersion: version, ...others });
  };
  return (
    <>
      <p>{say.osLead}</p>
      <LayerChoices
        legend={say.layer}
        name="os"
        layers={layers}
        chosen={draft.osLayer ? { [draft.osLayer]: draft.osVersion } : {}}
        empty={say.osEmpty}
        error={wrong('os_version_id')}
        onChange={choose}
      />
    </>
  );
}
