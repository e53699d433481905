// A menu of things the server allows or not, behind three dots. What is not allowed says why.
import { Dropdown, DropdownItem, DropdownList, MenuToggle } from '@patternfly/react-core';
import EllipsisVIcon from '@patternfly/react-icons/dist/esm/icons/ellipsis-v-icon';
import { useState } from 'react';
import type { Action } from '../api/wire';

export interface MenuEntry {
  label: string;
  action: Pick<Action, 'allowed' | 'reason'> | undefined;
  onChoose: () => void;
  danger?: boolean;
}

interface Props {
  label: string;
  entries: MenuEntry[];
  /** Whether it is open, where something else than its dots may open it as well. */
  isOpen?: boolean;
  onOpen?: (yes: boolean) => void;
}

export function ActionMenu({ label, entries, isOpen, onOpen }: Props) {
  const [ownOpen, setOwnOpen] = useState(false);
  const open = isOpen ?? ownOpen;
  const setOpen = onOpen ?? setOwnOpen;
  const offered = entries.filter((entry) => entry.action !== undefined);
  if (offered.length === 0) return null;
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      popperProps={{ position: 'right' }}
      toggle={(toggle) => (
        <MenuToggle
          ref={toggle}
          variant="plain"
          aria-label={label}
          isExpanded={open}
          icon={<EllipsisVIcon />}
          onClick={(event) => {
            event.stopPropagation();
            setOpen(!open);
          }}
        />
      )}
    >
      <DropdownList>
        {offered.map((entry) => (
          <DropdownItem
            key={entry.label}
            isDanger={entry.danger}
            isAriaDisabled={!entry.action?.allowed}
            tooltipProps={entry.action?.allowed ? undefined : { content: entry.action?.reason }}
            onClick={entry.onChoose}
          >
            {entry.label}
          </DropdownItem>
        ))}
      </DropdownList>
    </Dropdown>
  );
}
