// Platform Layer: tools and drivers that the packaging machine has, and the new version does not.
import type { Layer } from '../api/wire';
import { words } from '../words';
import { LayerChoices } from './LayerChoices';
import type { PackagingStepProps } from './packaging';

const { addVersion: say } = words.wizard;

export function PlatformLayerStep({ draft, put, wrong, layers }: PackagingStepProps & { layers: Layer[] }) {
  return (
    <>
      <p>{say.platformLead}</p>
      <LayerChoices
        legend={say.platform}
        name="platform"
        layers={layers}
        chosen={draft.platformLayer ? { [draft.platformLayer]: draft.platform } : {}}
        none={say.platformNone}
        empty={say.platformEmpty}
        error={wrong('platform_version_id')}
        onChange={(chosen) => {
          const [[platformLayer, platform] = ['', '']] = Object.entries(chosen);
          put({ platformLayer, platform });
        }}
      />
    </>
  );
}
