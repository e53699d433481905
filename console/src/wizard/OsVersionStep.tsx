// OS Layer, where a version is added: which version of it the packaging machine runs.
import { FormGroup } from '@patternfly/react-core';
import type { Layer } from '../api/wire';
import { FieldHelp } from '../parts/TextField';
import { words } from '../words';
import { LayerVersionSelect } from './LayerVersionSelect';
import type { PackagingStepProps } from './packaging';

const { addVersion: say } = words.wizard;

export function OsVersionStep({ draft, put, wrong, layer }: PackagingStepProps & { layer?: Layer }) {
  return (
    <>
      <p>{say.osLead}</p>
      {layer && (
        <FormGroup label={layer.name} fieldId="os-version">
          <LayerVersionSelect
            id="os-version"
            layer={layer}
            value={draft.osVersion || (layer.newest_deployable ?? '')}
            onChange={(osVersion) => put({ osVersion: osVersion === layer.newest_deployable ? '' : osVersion })}
          />
          <FieldHelp id="os-version-help" error={wrong('os_version_id')} />
        </FormGroup>
      )}
    </>
  );
}
