// Confirm and Complete of a layer that is made in a packaging machine.
import type { Connector, NewLayer } from '../api/wire';
import { VersionName, VersionNames } from '../layers/VersionName';
import { Facts } from '../parts/Facts';
import { TextField } from '../parts/TextField';
import { words } from '../words';
import { curlCommand, packageCommand } from './commands';
import type { PackageDraft, PackagedKind } from './PackageLayerPage';
import { RequestPreview } from './RequestPreview';
import { useVersionNames } from './useVersionNames';

const { packageLayer, createLayer, addVersion: say } = words.wizard;

interface Props {
  kind: PackagedKind;
  draft: PackageDraft;
  put: (change: Partial<PackageDraft>) => void;
  connectors: Connector[];
  body: NewLayer;
}

export function ConfirmPackageStep({ kind, draft, put, connectors, body }: Props) {
  const connector = connectors.find((one) => one.id === draft.connector)?.name ?? '';
  const prerequisites = Object.values(draft.prerequisites);
  const versions = useVersionNames([draft.osVersion, draft.platform, ...prerequisites].filter((id) => id !== ''));
  return (
    <>
      <p>{packageLayer.lead[kind]}</p>
      <Facts
        columns={2}
        facts={[
          [createLayer.name, draft.name],
          draft.description !== '' && [createLayer.description, draft.description],
          [createLayer.version, draft.version],
          draft.versionDescription !== '' && [createLayer.versionDescription, draft.versionDescription],
          [say.layer, <VersionName key="os" id={draft.osVersion} />],
          prerequisites.length > 0 && [say.prerequisites, <VersionNames key="prerequisites" ids={prerequisites} />],
          [say.connector, connector],
          kind === 'app' && [
            say.platform,
            draft.platform ? <VersionName key="platform" id={draft.platform} /> : say.platformNone,
          ],
          [say.size, draft.size || say.sizeDefault],
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
        cli={packageCommand(kind, body, { connector, versions })}
        curl={curlCommand(window.location.origin, '/api/v1/layers', body)}
      />
    </>
  );
}
