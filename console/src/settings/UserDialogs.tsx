// Makes, changes and deletes users.
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { Refusal } from '../api/refusal';
import type { Role, User } from '../api/wire';
import { newId } from '../api/uuid';
import { AskDialog } from '../parts/AskDialog';
import { TextField } from '../parts/TextField';
import { words } from '../words';
import { RoleField } from './RoleField';

const { settings: say } = words;

/** Asks the server, refreshes the list, and keeps what was wrong with which field. */
function useUserRequest() {
  const queries = useQueryClient();
  const [wrong, setWrong] = useState<Refusal>();
  const run = async (request: Promise<unknown>) => {
    try {
      await request;
    } catch (error) {
      if (error instanceof Refusal) setWrong(error);
      throw error;
    }
    await queries.invalidateQueries({ queryKey: ['users'] });
  };
  return { wrong, run };
}

export function NewUserDialog({ onClose }: { onClose: () => void }) {
  const { wrong, run } = useUserRequest();
  const [id] = useState(newId);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [role, setRole] = useState<Role>('editor');
  return (
    <AskDialog
      title={say.newUser}
      verb={say.make}
      onClose={onClose}
      onDo={(comment) => run(asked(client.POST('/api/v1/users', { body: { id, name, role, password, comment } })))}
    >
      <TextField
        required
        autoFocus
        label={say.userName}
        value={name}
        onChange={setName}
        error={wrong?.field('/name')}
        autoComplete="off"
      />
      <TextField
        required
        type="password"
        label={say.password}
        help={words.session.passwordHelp}
        value={password}
        onChange={setPassword}
        error={wrong?.field('/password')}
        autoComplete="new-password"
      />
      <RoleField value={role} onChange={setRole} />
    </AskDialog>
  );
}

export function EditUserDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const { wrong, run } = useUserRequest();
  const [password, setPassword] = useState('');
  const [role, setRole] = useState<Role>(user.role);
  const at = { params: { path: { id: user.id } } };
  return (
    <AskDialog
      title={say.editUser(user.name)}
      verb={words.frame.save}
      onClose={onClose}
      onDo={(comment) => {
        const body = { role, password: password || undefined, comment };
        return run(asked(client.PATCH('/api/v1/users/{id}', { ...at, body })));
      }}
    >
      <RoleField value={role} onChange={setRole} />
      <TextField
        type="password"
        label={say.newPassword}
        help={say.newPasswordHelp}
        value={password}
        onChange={setPassword}
        error={wrong?.field('/password')}
        autoComplete="new-password"
      />
    </AskDialog>
  );
}

export function DeleteUserDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const { run } = useUserRequest();
  const at = { params: { path: { id: user.id } } };
  return (
    <AskDialog
      danger
      title={say.deleteUser(user.name)}
      verb={say.delete}
      onClose={onClose}
      onDo={(comment) => run(asked(client.DELETE('/api/v1/users/{id}', { ...at, body: { comment } })))}
    >
      <p>{say.deleteUserText}</p>
    </AskDialog>
  );
}
