// OS Disk: a file of this computer, which is uploaded, or one that the server has already.
import { Checkbox, FormGroup, Radio } from '@patternfly/react-core';
import { TextField } from '../parts/TextField';
import { UploadField } from '../parts/UploadField';
import { useMay } from '../session/useMay';
import { words } from '../words';
import type { LayerStepProps } from './CreateLayerPage';

const { createLayer: say } = words.wizard;

export function OsDiskStep({ draft, put, refusal }: LayerStepProps) {
  const server = useMay('name_server_files');
  const wrong = refusal?.field('/source/file') ?? refusal?.field('/source/upload') ?? refusal?.field('/source');
  return (
    <>
      <FormGroup role="radiogroup" label={say.source} isStack fieldId="source">
        {(['upload', 'file'] as const).map((from) => (
          <Radio
            key={from}
            id={`from-${from}`}
            name="from"
            label={say[from]}
            description={from === 'file' ? server?.reason : undefined}
            isDisabled={from === 'file' && !server?.allowed}
            isChecked={draft.from === from}
            onChange={() => put({ from })}
          />
        ))}
      </FormGroup>
      {draft.from === 'upload' ? (
        <UploadField
          id={draft.upload}
          name={draft.uploadName}
          error={wrong}
          onChange={(upload, uploadName) => put({ upload, uploadName })}
        />
      ) : (
        <TextField
          required
          label={say.path}
          help={say.pathHelp}
          value={draft.path}
          onChange={(path) => put({ path })}
          error={wrong}
          spellCheck={false}
        />
      )}
      <Checkbox
        id="free-space"
        label={say.freeSpace}
        description={say.freeSpaceHelp}
        isChecked={!draft.keepFreeSpace}
        onChange={(_, yes) => put({ keepFreeSpace: !yes })}
      />
      <Checkbox
        id="raw"
        label={say.rawOnly}
        description={say.rawOnlyHelp}
        isChecked={draft.raw}
        onChange={(_, raw) => put({ raw })}
      />
    </>
  );
}
