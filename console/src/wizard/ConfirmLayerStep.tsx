// Confirm and Complete of a new layer. An upload that still runs is shown here as well: Create waits for it.
import type { NewLayer } from '../api/wire';
import { Facts } from '../parts/Facts';
import { TextField } from '../parts/TextField';
import { SendingLine } from '../parts/UploadField';
import { words } from '../words';
import { curlCommand, importCommand } from './commands';
import type { LayerStepProps } from './CreateLayerPage';
import { RequestPreview } from './RequestPreview';

const { createLayer: say } = words.wizard;

export function ConfirmLayerStep({ draft, put, body }: LayerStepProps & { body: NewLayer }) {
  const file = draft.from === 'file' ? draft.path : draft.uploadName;
  return (
    <>
      <p>{say.lead}</p>
      <Facts
        columns={2}
        facts={[
          [say.name, draft.name],
          draft.description !== '' && [say.description, draft.description],
          [say.version, draft.version],
          draft.versionDescription !== '' && [say.versionDescription, draft.versionDescription],
          [say.disk, file],
        ]}
      />
      {draft.from === 'upload' && <SendingLine id={draft.upload} />}
      <TextField
        label={words.frame.comment}
        help={words.frame.commentHelp}
        value={draft.comment}
        onChange={(comment) => put({ comment })}
      />
      <RequestPreview
        cli={importCommand(body, file)}
        curl={curlCommand(window.location.origin, '/api/v1/layers', body)}
      />
    </>
  );
}
