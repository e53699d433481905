// Changes the password of who is signed in.
import { useState } from 'react';
import { asked, client } from '../api/client';
import { tell } from '../frame/notices';
import { AskDialog } from '../parts/AskDialog';
import { TextField } from '../parts/TextField';
import { words } from '../words';

const { session: say } = words;

export function PasswordDialog({ onClose }: { onClose: () => void }) {
  const [old, setOld] = useState('');
  const [fresh, setFresh] = useState('');
  return (
    <AskDialog
      title={say.changePassword}
      verb={say.changePassword}
      withComment={false}
      onClose={onClose}
      onDo={async () => {
        const body = { old_password: old, new_password: fresh };
        await asked(client.PUT('/api/v1/session/password', { body }));
        tell(say.passwordChanged);
      }}
    >
      <TextField
        required
        type="password"
        label={say.oldPassword}
        value={old}
        onChange={setOld}
        autoComplete="current-password"
      />
      <TextField
        required
        type="password"
        label={say.newPassword}
        help={say.passwordHelp}
        value={fresh}
        onChange={setFresh}
        autoComplete="new-password"
      />
    </AskDialog>
  );
}
