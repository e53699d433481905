// Platform Layer: a step that people look for; for now it says why there is nothing to choose.
import { Alert, Radio } from '@patternfly/react-core';
import { words } from '../words';

const { addVersion: say } = words.wizard;

export function PlatformLayerStep() {
  return (
    <>
      <fieldset className="choices">
        <legend className="field-label">{say.platform}</legend>
        <Radio id="platform-none" name="platform" label={say.platformNone} isChecked readOnly />
      </fieldset>
      <Alert component="p" isInline variant="info" title={say.platformEmpty}>
        {say.platformText}
      </Alert>
    </>
  );
}
