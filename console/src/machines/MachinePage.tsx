// One packaging machine: its screen, files for it, its serial log; power, and Finalize when it is off.
import { PageSection, Tab, Tabs, TabTitleText } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { machineQuery, versionQuery } from '../api/queries';
import { asRefusal } from '../api/refusal';
import type { Machine } from '../api/wire';
import { FinalizeButton } from '../layers/FinalizeButton';
import { Facts } from '../parts/Facts';
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { PowerLabel } from '../parts/StateLabel';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { AttachFiles } from './AttachFiles';
import { PowerButtons } from './PowerButtons';
import { ScreenView } from './ScreenView';
import { SerialLog } from './SerialLog';

const { machines: say } = words;

export function MachinePage() {
  const { id } = useParams({ from: '/signed-in/framed/machines/$id' });
  const machine = useQuery(machineQuery(id));
  if (machine.error && asRefusal(machine.error).code === 'not_found') return <Gone id={id} />;
  return <Reading of={machine}>{(shown) => <OneMachine machine={shown} />}</Reading>;
}

function Gone({ id }: { id: string }) {
  const { data: version } = useQuery({ ...versionQuery(id), retry: false });
  return (
    <Nothing title={say.gone} text={say.goneText}>
      {version ? (
        <LinkButton to="/layers/$kind/$id" params={{ kind: 'any', id: version.layer_id }} search={{ version: id }}>
          {say.showVersion}
        </LinkButton>
      ) : (
        <LinkButton to="/machines">{say.title}</LinkButton>
      )}
    </Nothing>
  );
}

function OneMachine({ machine }: { machine: Machine }) {
  const { tab = 'screen' } = useSearch({ from: '/signed-in/framed/machines/$id' });
  const navigate = useNavigate();
  const { data: version } = useQuery({ ...versionQuery(machine.id), refetchInterval: 4_000 });
  const choose = (next: string | number) => {
    const to = { to: '/machines/$id', params: { id: machine.id }, replace: true } as const;
    if (next === 'screen' || next === 'files' || next === 'serial') void navigate({ ...to, search: { tab: next } });
  };
  return (
    <>
      <PageTop
        title={machine.name}
        beside={<PowerLabel power={machine.power} />}
        lead={machine.detail ?? undefined}
        above={[{ label: say.title, to: '/machines' }]}
        actions={
          <>
            <PowerButtons machine={machine} />
            {version && <FinalizeButton version={version} />}
          </>
        }
      />
      <PageSection isFilled className="machine">
        <Tabs activeKey={tab} onSelect={(_, key) => choose(key)} aria-label={say.tabs} mountOnEnter unmountOnExit>
          <Tab eventKey="screen" title={<TabTitleText>{say.screen}</TabTitleText>}>
            <ScreenView machine={machine} />
          </Tab>
          <Tab eventKey="files" title={<TabTitleText>{say.files}</TabTitleText>}>
            <AttachFiles machine={machine} />
          </Tab>
          <Tab eventKey="serial" title={<TabTitleText>{say.serial}</TabTitleText>}>
            <SerialLog machine={machine} />
          </Tab>
        </Tabs>
        <MachineFacts machine={machine} />
      </PageSection>
    </>
  );
}

function MachineFacts({ machine }: { machine: Machine }) {
  return (
    <Facts
      columns={3}
      facts={[
        [
          say.layer,
          <Link key="layer" to="/layers/$kind/$id" params={{ kind: 'any', id: machine.layer_id }} search={{ version: machine.id }}>
            {machine.layer_name}, {machine.version_name}
          </Link>,
        ],
        [say.connector, machine.connector_name],
        [say.place, <span key="place" className="name">{machine.place}</span>],
        Boolean(machine.cd) && [say.cd, machine.cd],
        typeof machine.written_bytes === 'number' && [say.written, bytes(machine.written_bytes)],
        Boolean(machine.ssh) && [say.ssh, <code key="ssh">{machine.ssh}</code>],
        Boolean(machine.task_id) && [
          say.task,
          <Link key="task" to="/tasks/$id" params={{ id: machine.task_id! }}>
            {say.showTask}
          </Link>,
        ],
      ]}
    />
  );
}
