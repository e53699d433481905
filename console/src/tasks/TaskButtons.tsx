// Cancel, or try again: what the server allows with this task now.
import { useState } from 'react';
import { asked, client } from '../api/client';
import type { Task } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { AskDialog } from '../parts/AskDialog';
import { words } from '../words';

const { tasks: say } = words;

export function TaskButtons({ task }: { task: Task }) {
  const [asking, setAsking] = useState<'cancel' | 'retry'>();
  const close = () => setAsking(undefined);
  const at = { params: { path: { id: task.id } } };
  const cancel = actionOf(task.actions, 'cancel');
  const retry = actionOf(task.actions, 'retry');
  if (task.finished_at) return null;
  return (
    <>
      {retry?.allowed && (
        <ActionButton variant="secondary" action={retry} onClick={() => setAsking('retry')}>
          {say.retry}
        </ActionButton>
      )}
      <ActionButton variant="secondary" isDanger action={cancel} onClick={() => setAsking('cancel')}>
        {say.cancel}
      </ActionButton>
      {asking === 'cancel' && (
        <AskDialog
          danger
          title={say.cancelTitle}
          verb={say.cancel}
          onClose={close}
          onDo={(comment) => asked(client.POST('/api/v1/tasks/{id}/cancel', { ...at, body: { comment } }))}
        >
          <p>{task.title}</p>
          <p>{say.cancelText}</p>
        </AskDialog>
      )}
      {asking === 'retry' && (
        <AskDialog
          title={say.retryTitle}
          verb={say.retry}
          onClose={close}
          onDo={(comment) => asked(client.POST('/api/v1/tasks/{id}/retry', { ...at, body: { comment } }))}
        >
          <p>{say.retryText}</p>
        </AskDialog>
      )}
    </>
  );
}
