// Finalize anyway: for approvers, with a reason, when something is outstanding in the packaging machine.
import { useState } from 'react';
import { asked, client } from '../api/client';
import type { Version } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { AskDialog } from '../parts/AskDialog';
import { TextField } from '../parts/TextField';
import { words } from '../words';

const { tasks: say } = words;

export function FinalizeAnywayButton({ version }: { version: Version }) {
  const [asking, setAsking] = useState(false);
  const [reason, setReason] = useState('');
  const at = { params: { path: { id: version.id } } };
  return (
    <>
      <ActionButton
        variant="secondary"
        isDanger
        action={actionOf(version.actions, 'finalize_anyway')}
        onClick={() => setAsking(true)}
      >
        {say.finalizeAnyway}
      </ActionButton>
      {asking && (
        <AskDialog
          danger
          title={say.finalizeAnywayTitle(version.name)}
          verb={say.finalizeAnyway}
          withComment={false}
          blocked={reason.trim() === '' ? say.reasonNeeded : undefined}
          onClose={() => setAsking(false)}
          onDo={() =>
            asked(client.POST('/api/v1/versions/{id}/finalize', { ...at, body: { anyway: true, reason } }))
          }
        >
          <p>{say.finalizeAnywayText}</p>
          <TextField label={say.reason} value={reason} onChange={setReason} required />
        </AskDialog>
      )}
    </>
  );
}
