// Makes and deletes tokens, and shows a new one's secret, once.
import { Button, FormGroup, FormSelect, FormSelectOption, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { Refusal } from '../api/refusal';
import type { Role, Token } from '../api/wire';
import { newId } from '../api/uuid';
import { AskDialog } from '../parts/AskDialog';
import { CopyLine } from '../parts/CopyLine';
import { TextField } from '../parts/TextField';
import { words } from '../words';
import { RoleField } from './RoleField';

const { settings: say } = words;
const DAY_MS = 86_400_000;

interface NewTokenProps {
  onMade: (secret: string) => void;
  onClose: () => void;
}

export function NewTokenDialog({ onMade, onClose }: NewTokenProps) {
  const queries = useQueryClient();
  const [id] = useState(newId);
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('editor');
  const [days, setDays] = useState('90');
  const [wrong, setWrong] = useState<Refusal>();
  const make = async (comment: string) => {
    const expires_at = new Date(Date.now() + Number(days) * DAY_MS).toISOString();
    const body = { id, name, role, expires_at, comment };
    const { secret } = await asked(client.POST('/api/v1/tokens', { body })).catch((error: unknown): never => {
      if (error instanceof Refusal) setWrong(error);
      throw error;
    });
    await queries.invalidateQueries({ queryKey: ['tokens'] });
    onMade(secret);
  };
  return (
    <AskDialog title={say.newToken} verb={say.make} onDo={make} onClose={onClose}>
      <TextField
        required
        autoFocus
        label={say.tokenName}
        help={say.tokenNameHelp}
        value={name}
        onChange={setName}
        error={wrong?.field('/name')}
      />
      <RoleField value={role} onChange={setRole} />
      <FormGroup label={say.expires} fieldId="expires">
        <FormSelect id="expires" value={days} onChange={(_, next) => setDays(next)}>
          {Object.entries(say.lifetimes).map(([value, label]) => (
            <FormSelectOption key={value} value={value} label={label} />
          ))}
        </FormSelect>
      </FormGroup>
    </AskDialog>
  );
}

export function SecretDialog({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <Modal isOpen variant="small" aria-labelledby="secret-title">
      <ModalHeader title={say.secretTitle} labelId="secret-title" />
      <ModalBody>
        <p>{say.secretText}</p>
        <CopyLine text={secret} label={say.secret} />
      </ModalBody>
      <ModalFooter>
        <Button onClick={onClose}>{say.understood}</Button>
      </ModalFooter>
    </Modal>
  );
}

export function DeleteTokenDialog({ token, onClose }: { token: Token; onClose: () => void }) {
  const queries = useQueryClient();
  return (
    <AskDialog
      danger
      title={say.deleteToken(token.name)}
      verb={say.delete}
      onClose={onClose}
      onDo={async (comment) => {
        const at = { params: { path: { id: token.id } }, body: { comment } };
        await asked(client.DELETE('/api/v1/tokens/{id}', at));
        await queries.invalidateQueries({ queryKey: ['tokens'] });
      }}
    >
      <p>{say.deleteTokenText}</p>
    </AskDialog>
  );
}
