// One version in full: sizes, who and when and why, where it is used, and what can be done with it.
import { Card, CardBody, CardFooter, CardHeader, CardTitle } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { repositoryQuery, versionQuery } from '../api/queries';
import type { Layer, Version } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { AskDialog } from '../parts/AskDialog';
import { Facts } from '../parts/Facts';
import { VersionStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { DeleteDialog } from './DeleteDialog';
import { EditVersionDialog } from './EditDialog';
import { ExportDialog } from './ExportDialog';
import { FinalizeButton } from './FinalizeButton';
import { UsedBy } from './UsedBy';
import { VersionName, VersionNames } from './VersionName';
import { origin } from './VersionLine';
import { useMaking } from './useMaking';

const { layers: say } = words;

interface Props {
  version: Version;
  all: Version[];
  layer: Layer;
}

export function VersionPanel({ version: listed, all, layer }: Props) {
  // A list is read when something changes; whether a machine is off is known by asking only.
  const { data: version = listed } = useQuery({
    ...versionQuery(listed.id),
    refetchInterval: listed.machine_id ? 4_000 : false,
  });
  return (
    <Card className="version-panel" isCompact>
      <CardHeader>
        <CardTitle component="h2">
          {say.chosen(version.name)} <VersionStateLabel state={version.state} />
        </CardTitle>
      </CardHeader>
      <CardBody>
        {version.description && <p className="version-description">{version.description}</p>}
        <VersionFacts version={version} all={all} />
      </CardBody>
      <CardFooter className="buttons">
        <VersionButtons version={version} layer={layer} />
      </CardFooter>
    </Card>
  );
}

function VersionFacts({ version, all }: { version: Version; all: Version[] }) {
  const { data: repository } = useQuery(repositoryQuery);
  const making = useMaking(version);
  const { sizes } = version;
  const unique = repository?.versions.find((one) => one.id === version.id)?.unique_stored_bytes;
  const children = all.filter((one) => one.base_version_id === version.id).map((one) => one.name);
  return (
    <Facts
      columns={2}
      facts={[
        [say.created, <When key="created" at={version.created_at} />],
        making?.who !== undefined && [say.who, making.who],
        Boolean(making?.comment) && [say.comment, making?.comment],
        [say.base, origin(version, all)],
        Boolean(version.os_version_id) && [say.madeOn, <VersionName key="os" id={version.os_version_id!} />],
        Boolean(version.platform_version_id) && [
          say.withPlatform,
          <VersionName key="platform" id={version.platform_version_id!} />,
        ],
        Boolean(version.prerequisite_version_ids?.length) && [
          say.prerequisites,
          <VersionNames key="prerequisites" ids={version.prerequisite_version_ids!} />,
        ],
        Boolean(sizes) && [say.logical, bytes(sizes!.logical_bytes)],
        Boolean(sizes) && [say.virtual, bytes(sizes!.virtual_bytes)],
        Boolean(sizes) && [say.added, bytes(sizes!.added_bytes)],
        unique !== undefined && [say.unique, <span key="unique" title={say.uniqueHelp}>{bytes(unique)}</span>],
        [say.firmware, say.firmwares[version.firmware]],
        [say.usedBy, <UsedBy key="used" users={version.used_by} />],
        children.length > 0 && [say.baseOf, <span key="base" title={say.baseOfHelp}>{children.join(', ')}</span>],
        Boolean(version.machine_id) && [
          say.machine,
          <Link key="machine" to="/machines/$id" params={{ id: version.machine_id! }}>
            {say.showMachine}
          </Link>,
        ],
        Boolean(version.task_id) && [
          say.task,
          <Link key="task" to="/tasks/$id" params={{ id: version.task_id! }}>
            {say.showTask}
          </Link>,
        ],
        Boolean(version.digest) && [say.digest, <code key="digest" className="digest">{version.digest}</code>],
      ]}
    />
  );
}

function VersionButtons({ version, layer }: { version: Version; layer: Layer }) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<'edit' | 'delete' | 'export' | 'verify'>();
  const close = () => setDialog(undefined);
  const to = { to: '/layers/$kind/$id/add-version', params: { kind: layer.kind, id: layer.id }, search: { base: version.id } } as const;
  return (
    <>
      {version.state === 'finalizable' && <FinalizeButton version={version} />}
      <ActionButton
        variant="secondary"
        action={actionOf(version.actions, 'add_version')}
        onClick={() => void navigate(to)}
      >
        {say.addVersion}
      </ActionButton>
      {(['export', 'verify', 'edit'] as const).map((name) => (
        <ActionButton
          key={name}
          variant="secondary"
          action={actionOf(version.actions, name)}
          onClick={() => setDialog(name)}
        >
          {say[name]}
        </ActionButton>
      ))}
      <ActionButton
        variant="secondary"
        isDanger
        action={actionOf(version.actions, 'delete')}
        onClick={() => setDialog('delete')}
      >
        {words.frame.delete}
      </ActionButton>
      {dialog === 'edit' && <EditVersionDialog version={version} onClose={close} />}
      {dialog === 'export' && <ExportDialog layerId={layer.id} version={version.id} onClose={close} />}
      {dialog === 'delete' && <DeleteDialog layers={[layer]} version={version.id} onClose={close} />}
      {dialog === 'verify' && (
        <AskDialog
          title={say.verifyTitle(version.name)}
          verb={say.verify}
          onClose={close}
          onDo={(comment) => {
            const at = { params: { path: { id: version.id } }, body: { comment } };
            return asked(client.POST('/api/v1/versions/{id}/verify', at));
          }}
        >
          <p>{say.verifyText}</p>
        </AskDialog>
      )}
    </>
  );
}
