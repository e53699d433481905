// Confirm and Complete: all choices on one page, a comment, and the same request for scripts.
import type { AddVersion, Connector, Layer, NewSchedule, Version } from '../api/wire';
import { VersionName, VersionNames } from '../layers/VersionName';
import { Facts } from '../parts/Facts';
import { TextField } from '../parts/TextField';
import { words } from '../words';
import { addVersionCommand, curlCommand, scheduleCommand } from './commands';
import { RequestPreview } from './RequestPreview';
import { useVersionNames } from './useVersionNames';
import type { StepProps } from './VersionDetailsStep';

const { addVersion: say, installation } = words.wizard;

interface Props extends StepProps {
  layer: Layer;
  versions: Version[];
  connectors: Connector[];
  body: AddVersion;
  /** The schedule that makes such versions, if one does. */
  schedule?: NewSchedule;
}

export function ConfirmVersionStep({ draft, put, layer, versions: all, connectors, body, schedule }: Props) {
  const connector = connectors.find((one) => one.id === draft.connector);
  const base = all.find((one) => one.id === (draft.base || layer.newest_deployable));
  const chosen = [body.os_version_id, body.platform_version_id, ...(body.prerequisite_version_ids ?? [])];
  const versions = useVersionNames(chosen.filter((id) => id !== undefined && id !== null));
  const names = { versions, layer: layer.name, connector: connector?.name ?? '', base: draft.base ? base?.name : undefined };
  const files = draft.scriptFiles.map(({ name }) => name);
  return (
    <>
      <p>{body.unattended ? installation.scriptHelp : say.lead}</p>
      <Facts
        columns={2}
        facts={[
          [say.layerOf[layer.kind], layer.name],
          [say.version, draft.name],
          draft.description !== '' && [say.description, draft.description],
          !schedule && base && [say.base, base.name],
          [say.size, draft.size || say.sizeDefault],
          [say.connector, connector?.name],
          Boolean(body.os_version_id) && [say.layer, <VersionName key="os" id={body.os_version_id!} />],
          layer.kind === 'app' && [
            say.prerequisites,
            body.prerequisite_version_ids ? (
              <VersionNames key="prerequisites" ids={body.prerequisite_version_ids} />
            ) : (
              say.prerequisitesSame
            ),
          ],
          layer.kind !== 'platform' && [
            say.platform,
            draft.platform ? <VersionName key="platform" id={draft.platform} /> : say.platformNone,
          ],
          [say.fileName, draft.file],
          [say.format, draft.format || say.formatOwn],
          [installation.title, body.unattended?.script.name ?? installation.person],
          schedule && [installation.times, words.schedules.zone(schedule.when, draft.timeZone)],
        ]}
      />
      <TextField
        label={words.frame.comment}
        help={words.frame.commentHelp}
        value={draft.comment}
        onChange={(comment) => put({ comment })}
      />
      <RequestPreview
        cli={schedule ? scheduleCommand(schedule, { ...names, files }) : addVersionCommand(body, { ...names, files })}
        curl={
          schedule
            ? curlCommand(window.location.origin, '/api/v1/schedules', schedule)
            : curlCommand(window.location.origin, `/api/v1/layers/${layer.id}/versions`, body)
        }
      />
    </>
  );
}
