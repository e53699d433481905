// What can be done with a schedule, behind three dots: run it now, stop it for a while, change it, delete it.
import { useState } from 'react';
import { asked, client } from '../api/client';
import { Refusal } from '../api/refusal';
import { newId } from '../api/uuid';
import type { Schedule } from '../api/wire';
import { useSend } from '../frame/useSend';
import { actionOf } from '../parts/ActionButton';
import { ActionMenu } from '../parts/ActionMenu';
import { AskDialog } from '../parts/AskDialog';
import { ScheduleFields } from '../wizard/InstallationStep';
import { words } from '../words';

const { schedules: say } = words;

export function ScheduleMenu({ schedule }: { schedule: Schedule }) {
  const [dialog, setDialog] = useState<'run' | 'edit' | 'delete'>();
  // Of one run, however often it is asked for.
  const [id, setId] = useState(newId);
  const at = { params: { path: { id: schedule.id } } };
  const edit = actionOf(schedule.actions, 'edit');
  const toggle = useSend(() =>
    asked(client.PATCH('/api/v1/schedules/{id}', { ...at, body: { enabled: !schedule.enabled } })),
  );
  const close = () => setDialog(undefined);
  const run = () => {
    setId(newId());
    setDialog('run');
  };
  return (
    <>
      <ActionMenu
        label={words.settings.more(schedule.name)}
        entries={[
          { label: say.run, action: actionOf(schedule.actions, 'run'), onChoose: () => run() },
          { label: schedule.enabled ? say.disable : say.enable, action: edit, onChoose: () => toggle.mutate() },
          { label: say.edit, action: edit, onChoose: () => setDialog('edit') },
          {
            label: words.frame.delete,
            action: actionOf(schedule.actions, 'delete'),
            danger: true,
            onChoose: () => setDialog('delete'),
          },
        ]}
      />
      {dialog === 'edit' && <EditScheduleDialog schedule={schedule} onClose={close} />}
      {dialog === 'run' && (
        <AskDialog
          title={say.runTitle(schedule.name)}
          verb={say.run}
          onDo={(comment) => asked(client.POST('/api/v1/schedules/{id}/run', { ...at, body: { id, comment } }))}
          onClose={close}
        >
          <p>{say.runText}</p>
        </AskDialog>
      )}
      {dialog === 'delete' && (
        <AskDialog
          danger
          title={say.deleteTitle(schedule.name)}
          verb={words.frame.delete}
          onDo={(comment) => asked(client.DELETE('/api/v1/schedules/{id}', { ...at, body: { comment } }))}
          onClose={close}
        >
          <p>{say.deleteText}</p>
        </AskDialog>
      )}
    </>
  );
}

function EditScheduleDialog({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const [draft, setDraft] = useState({ schedule: schedule.name, when: schedule.when, timeZone: schedule.time_zone });
  const [refusal, setRefusal] = useState<Refusal>();
  const save = (comment: string) => {
    const body = { name: draft.schedule, when: draft.when, time_zone: draft.timeZone, comment };
    const request = { params: { path: { id: schedule.id } }, body };
    return asked(client.PATCH('/api/v1/schedules/{id}', request)).catch((error: unknown) => {
      if (error instanceof Refusal) setRefusal(error);
      throw error;
    });
  };
  const wrong = (field: string) => refusal?.field(`/${field}`);
  return (
    <AskDialog title={say.editTitle(schedule.name)} verb={words.frame.save} onDo={save} onClose={onClose}>
      <ScheduleFields value={draft} put={(change) => setDraft({ ...draft, ...change })} wrong={wrong} />
    </AskDialog>
  );
}
