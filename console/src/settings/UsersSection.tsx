// Who may sign in.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { usersQuery } from '../api/queries';
import type { User } from '../api/wire';
import { ActionMenu } from '../parts/ActionMenu';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { Reading } from '../parts/Reading';
import { When } from '../parts/When';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { DeleteUserDialog, EditUserDialog, NewUserDialog } from './UserDialogs';

const { settings: say } = words;

export function UsersSection() {
  const users = useQuery(usersQuery);
  const make = useMay('create_user');
  const [dialog, setDialog] = useState<{ is: 'new' } | { is: 'edit' | 'delete'; user: User }>();
  const close = () => setDialog(undefined);
  return (
    <>
      <p>{say.usersLead}</p>
      <div className="buttons">
        <ActionButton action={make} onClick={() => setDialog({ is: 'new' })}>
          {say.newUser}
        </ActionButton>
      </div>
      <Reading of={users}>
        {(all) => (
          <table className="table" aria-label={say.users}>
            <thead>
              <tr>
                <th scope="col">{say.userName}</th>
                <th scope="col">{say.role}</th>
                <th scope="col">{say.created}</th>
                <th scope="col">{say.lastLogin}</th>
                <td />
              </tr>
            </thead>
            <tbody>
              {all.map((user) => (
                <tr key={user.id}>
                  <td data-label={say.userName}>{user.name}</td>
                  <td data-label={say.role}>{say.roles[user.role]}</td>
                  <td data-label={say.created}>
                    <When at={user.created_at} />
                  </td>
                  <td data-label={say.lastLogin}>
                    <When at={user.last_login_at} />
                  </td>
                  <td className="row-menu">
                    <ActionMenu
                      label={say.more(user.name)}
                      entries={(['edit', 'delete'] as const).map((is) => ({
                        label: say[is],
                        action: actionOf(user.actions, is),
                        danger: is === 'delete',
                        onChoose: () => setDialog({ is, user }),
                      }))}
                    />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Reading>
      {dialog?.is === 'new' && <NewUserDialog onClose={close} />}
      {dialog?.is === 'edit' && <EditUserDialog user={dialog.user} onClose={close} />}
      {dialog?.is === 'delete' && <DeleteUserDialog user={dialog.user} onClose={close} />}
    </>
  );
}
