// Finalize: what changed in the packaging machine becomes the version, and the machine is deleted.
import { useState } from 'react';
import { asked, client } from '../api/client';
import type { Version } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { AskDialog } from '../parts/AskDialog';
import { words } from '../words';

const { tasks: say } = words;

export function FinalizeButton({ version }: { version: Version }) {
  const [asking, setAsking] = useState(false);
  return (
    <>
      <ActionButton action={actionOf(version.actions, 'finalize')} onClick={() => setAsking(true)}>
        {say.finalize}
      </ActionButton>
      {asking && <FinalizeDialog version={version} onClose={() => setAsking(false)} />}
    </>
  );
}

export function FinalizeDialog({ version, onClose }: { version: Version; onClose: () => void }) {
  const at = { params: { path: { id: version.id } } };
  return (
    <AskDialog
      title={say.finalizeTitle(version.name)}
      verb={say.finalize}
      onClose={onClose}
      onDo={(comment) => asked(client.POST('/api/v1/versions/{id}/finalize', { ...at, body: { comment } }))}
    >
      <p>{say.finalizeText}</p>
    </AskDialog>
  );
}
