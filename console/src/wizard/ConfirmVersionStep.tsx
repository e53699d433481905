// Confirm and Complete: all choices on one page, a comment, and the same request for scripts.
import type { AddVersion, Connector, Layer, Version } from '../api/wire';
import { Facts } from '../parts/Facts';
import { TextField } from '../parts/TextField';
import { words } from '../words';
import { addVersionCommand, curlCommand } from './commands';
import { RequestPreview } from './RequestPreview';
import type { StepProps } from './VersionDetailsStep';

const { addVersion: say } = words.wizard;

interface Props extends StepProps {
  layer: Layer;
  versions: Version[];
  connectors: Connector[];
  body: AddVersion;
}

export function ConfirmVersionStep({ draft, put, layer, versions, connectors, body }: Props) {
  const connector = connectors.find((one) => one.id === draft.connector);
  const base = versions.find((one) => one.id === (draft.base || layer.newest_deployable));
  const names = { layer: layer.name, connector: connector?.name ?? '', base: draft.base ? base?.name : undefined };
  return (
    <>
      <p>{say.lead}</p>
      <Facts
        columns={2}
        facts={[
          [say.layer, layer.name],
          [say.version, draft.name],
          draft.description !== '' && [say.description, draft.description],
          base && [say.base, base.name],
          [say.size, draft.size || say.sizeDefault],
          [say.connector, connector?.name],
          [say.platform, say.platformNone],
          [say.fileName, draft.file],
          [say.format, draft.format || say.formatOwn],
        ]}
      />
      <TextField
        label={words.frame.comment}
        help={words.frame.commentHelp}
        value={draft.comment}
        onChange={(comment) => put({ comment })}
      />
      <RequestPreview
        cli={addVersionCommand(body, names)}
        curl={curlCommand(window.location.origin, `/api/v1/layers/${layer.id}/versions`, body)}
      />
    </>
  );
}
