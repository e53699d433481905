// Prerequisite Layers: app layers that the packaging machine has besides, and the new version does not.
import { Checkbox } from '@patternfly/react-core';
import type { Layer } from '../api/wire';
import { VersionNames } from '../layers/VersionName';
import { words } from '../words';
import { LayerChoices } from './LayerChoices';
import type { PackagingStepProps } from './packaging';

const { addVersion: say } = words.wizard;

interface Props extends PackagingStepProps {
  layers: Layer[];
  /** Where a version is added: the base version's, and whether they are taken over. */
  before?: { ids: string[]; same: boolean; onSame: (yes: boolean) => void };
}

export function PrerequisitesStep({ draft, put, wrong, layers, before }: Props) {
  return (
    <>
      <p>{say.prerequisitesLead}</p>
      {before && (
        <Checkbox
          id="same-prerequisites"
          label={say.prerequisitesSame}
          isChecked={before.same}
          onChange={(_, yes) => before.onSame(yes)}
          body={before.same && (before.ids.length > 0 ? <VersionNames ids={before.ids} /> : say.prerequisitesNone)}
        />
      )}
      {!before?.same && (
        <LayerChoices
          many
          legend={say.prerequisites}
          name="prerequisite"
          layers={layers}
          chosen={draft.prerequisites}
          empty={say.prerequisitesEmpty}
          error={wrong('prerequisite_version_ids')}
          onChange={(prerequisites) => put({ prerequisites })}
        />
      )}
    </>
  );
}
