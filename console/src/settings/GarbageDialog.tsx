// Removes what no version needs: first the plan, which is a task that changes nothing, then the doing.
import { Button } from '@patternfly/react-core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { AskDialog } from '../parts/AskDialog';
import { ProblemAlert } from '../parts/ProblemAlert';
import { TextField } from '../parts/TextField';
import { TaskResult } from '../tasks/TaskResult';
import { words } from '../words';

const { settings: say } = words;
const WAIT_SECONDS = 30;

function collect(dryRun: boolean, hours: string) {
  const grace_hours = hours === '' ? undefined : Number(hours);
  return asked(client.POST('/api/v1/repository/gc', { body: { dry_run: dryRun, grace_hours } }));
}

async function plan(hours: string) {
  let task = await collect(true, hours);
  while (!task.finished_at) {
    const at = { params: { path: { id: task.id }, query: { wait: WAIT_SECONDS } } };
    task = await asked(client.GET('/api/v1/tasks/{id}', at));
  }
  return task;
}

export function GarbageDialog({ onClose }: { onClose: () => void }) {
  const [hours, setHours] = useState('');
  const planning = useMutation({ mutationFn: () => plan(hours) });
  const change = (next: string) => {
    setHours(next);
    planning.reset();
  };
  return (
    <AskDialog
      danger
      wide
      title={say.gcTitle}
      verb={say.run}
      withComment={false}
      blocked={planning.data ? undefined : say.planFirst}
      onDo={() => collect(false, hours)}
      onClose={onClose}
    >
      <p>{say.gcText}</p>
      <TextField type="number" label={say.grace} placeholder={say.graceDefault} value={hours} onChange={change} />
      <div className="buttons">
        <Button variant="secondary" isLoading={planning.isPending} onClick={() => planning.mutate()}>
          {say.planNow}
        </Button>
      </div>
      <div aria-live="polite">
        {planning.isPending && <p className="quiet">{say.planning}</p>}
        <ProblemAlert error={planning.error} />
        {planning.data && (
          <>
            <h3>{say.plan}</h3>
            {planning.data.error && <p>{planning.data.error}</p>}
            <TaskResult task={planning.data} />
          </>
        )}
      </div>
    </AskDialog>
  );
}
