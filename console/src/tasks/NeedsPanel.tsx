// What a person must do before the task goes on: the instruction, and buttons that do it.
//
// Whether the machine is off is known only by asking: while this is shown, machine and version are read every few seconds.
import { Alert, Button } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { liveCheckQuery, machineQuery, versionQuery } from '../api/queries';
import type { Machine, MachineCheck, Task } from '../api/wire';
import { useSend } from '../frame/useSend';
import { actionOf } from '../parts/ActionButton';
import { ActionLink } from '../parts/ActionLink';
import { PowerLabel } from '../parts/StateLabel';
import { FinalizeAnywayButton } from '../layers/FinalizeAnywayButton';
import { FinalizeButton } from '../layers/FinalizeButton';
import { PowerButtons } from '../machines/PowerButtons';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { Findings } from './Findings';
import { TaskButtons } from './TaskButtons';

const { tasks: say } = words;
const LOOK_MS = 4_000;

interface Props {
  task: Task;
  needs: NonNullable<Task['needs']>;
}

export function NeedsPanel({ task, needs }: Props) {
  const machineId = needs.machine_id ?? undefined;
  const machine = useQuery({ ...machineQuery(machineId ?? ''), enabled: machineId !== undefined });
  const version = useQuery({
    ...versionQuery(task.version_id ?? ''),
    enabled: Boolean(task.version_id),
    refetchInterval: LOOK_MS,
  });
  const isRunning = machine.data?.power === 'running';
  // What the tool found last in a machine that runs; the disk of one that is off is examined only when a person asks.
  const live = useQuery({ ...liveCheckQuery(machineId ?? ''), enabled: isRunning });
  const [checked, setChecked] = useState<MachineCheck>();
  const check = useSend(async () => {
    const [seen] = await Promise.all([machine.refetch(), version.refetch()]);
    const isOff = machineId !== undefined && seen.data?.power === 'off';
    const at = { params: { path: { id: machineId ?? '' } } };
    setChecked(isOff ? await asked(client.GET('/api/v1/machines/{id}/check', at)) : undefined);
  });
  const found = isRunning && live.data?.result !== 'unknown' ? live.data : checked;
  return (
    <div className="needs">
      <p className="needs-text">
        <Instruction text={needs.text} />
      </p>
      {needs.problem && (
        <Alert component="p" isInline variant="warning" title={say.problem}>
          {needs.problem}
        </Alert>
      )}
      <Findings findings={found?.findings ?? task.findings ?? []} check={found} />
      {machine.data && <MachineLine machine={machine.data} />}
      <div className="buttons">
        {machine.data?.has_screen && <ScreenButtons machine={machine.data} />}
        {machine.data && <PowerButtons machine={machine.data} only={needs.actions} powerOn={say.startMachine} />}
        <Button variant="secondary" isLoading={check.isPending} onClick={() => check.mutate()}>
          {say.checkAgain}
        </Button>
        {version.data && needs.actions.includes('finalize') && <FinalizeButton version={version.data} />}
        {version.data && needs.actions.includes('finalize_anyway') && <FinalizeAnywayButton version={version.data} />}
        <TaskButtons task={task} />
      </div>
    </div>
  );
}

function ScreenButtons({ machine: { id, actions } }: { machine: Machine }) {
  const screen = useMay('open_screen');
  const attach = actionOf(actions, 'attach_files');
  return (
    <>
      <ActionLink variant="secondary" action={screen} to="/machines/$id" params={{ id }} search={{ tab: 'screen' }}>
        {say.openScreen}
      </ActionLink>
      <ActionLink variant="secondary" action={attach} to="/machines/$id" params={{ id }} search={{ tab: 'files' }}>
        {say.attach}
      </ActionLink>
    </>
  );
}

function MachineLine({ machine }: { machine: Machine }) {
  return (
    <p className="needs-machine">
      <PowerLabel power={machine.power} /> <span className="name">{machine.name}</span>
      {machine.detail && <span className="quiet"> {machine.detail}</span>}
    </p>
  );
}

/** The server's text, with the names in it (in single quotes) set apart from the words. */
function Instruction({ text }: { text: string }) {
  return (
    <>
      {text.split(/('[^']*')/).map((part, index) =>
        // Parts have no identity but their place.
        part.startsWith("'") ? (
          <span key={index} className="name">
            {part}
          </span>
        ) : (
          part
        ),
      )}
    </>
  );
}
