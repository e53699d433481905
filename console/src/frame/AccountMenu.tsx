// Who is signed in: password, keyboard, sign out.
import { Dropdown, DropdownItem, DropdownList, MenuToggle } from '@patternfly/react-core';
import UserIcon from '@patternfly/react-icons/dist/esm/icons/user-icon';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { sessionQuery } from '../api/queries';
import { PasswordDialog } from '../session/PasswordDialog';
import { words } from '../words';
import { AboutDialog } from './AboutDialog';
import { KeyboardDialog } from './KeyboardDialog';
import { useSend } from './useSend';

export function AccountMenu() {
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const [open, setOpen] = useState(false);
  const [dialog, setDialog] = useState<'password' | 'keyboard' | 'about'>();
  const signOut = useSend(async () => {
    await asked(client.DELETE('/api/v1/session'));
    queries.clear();
    window.location.assign('/sign-in');
  });
  const name = session?.user?.name;
  if (name === undefined) return null;
  return (
    <>
      <Dropdown
        isOpen={open}
        onOpenChange={setOpen}
        onSelect={() => setOpen(false)}
        popperProps={{ position: 'right' }}
        toggle={(toggle) => (
          <MenuToggle
            ref={toggle}
            isExpanded={open}
            icon={<UserIcon />}
            aria-label={words.frame.account(name)}
            onClick={() => setOpen(!open)}
          >
            <span className="wide-only">{name}</span>
          </MenuToggle>
        )}
      >
        <DropdownList>
          <DropdownItem onClick={() => setDialog('keyboard')}>{words.frame.keyboard}</DropdownItem>
          <DropdownItem onClick={() => setDialog('password')}>{words.frame.changePassword}</DropdownItem>
          <DropdownItem onClick={() => setDialog('about')}>{words.frame.about}</DropdownItem>
          <DropdownItem onClick={() => signOut.mutate()}>{words.frame.signOut}</DropdownItem>
        </DropdownList>
      </Dropdown>
      {dialog === 'password' && <PasswordDialog onClose={() => setDialog(undefined)} />}
      {dialog === 'about' && <AboutDialog onClose={() => setDialog(undefined)} />}
      {dialog === 'keyboard' && <KeyboardDialog onClose={() => setDialog(undefined)} />}
    </>
  );
}
