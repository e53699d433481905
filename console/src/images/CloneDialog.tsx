// Clone: an image template like another one, under a new name.
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { Refusal } from '../api/refusal';
import { newId } from '../api/uuid';
import type { Template } from '../api/wire';
import { AskDialog } from '../parts/AskDialog';
import { TextField } from '../parts/TextField';
import { words } from '../words';

const { images: say } = words;

export function CloneDialog({ template, onClose }: { template: Template; onClose: () => void }) {
  const navigate = useNavigate();
  const [id] = useState(newId);
  const [name, setName] = useState('');
  const [wrong, setWrong] = useState<Refusal>();
  const run = async (comment: string) => {
    const request = { params: { path: { id: template.id } }, body: { id, name, comment } };
    await asked(client.POST('/api/v1/templates/{id}/clone', request)).catch((error: unknown) => {
      if (error instanceof Refusal) setWrong(error);
      throw error;
    });
    await navigate({ to: '/templates/$id', params: { id } });
  };
  return (
    <AskDialog
      title={say.cloneTitle(template.name)}
      verb={say.clone}
      blocked={name === '' ? say.wizard.enterName : undefined}
      onDo={run}
      onClose={onClose}
    >
      <TextField required autoFocus label={say.cloneName} value={name} onChange={setName} error={wrong?.field('/name')} />
    </AskDialog>
  );
}
