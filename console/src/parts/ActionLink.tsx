// A button that leads to a page where something is done that the server allows or not. When it does not, the button says why.
import { Button, Tooltip } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import type { Action } from '../api/wire';
import { LinkButton } from './LinkButton';

interface Props {
  /** What the server says of it; nothing when it says nothing, and then it is not offered. */
  action: Pick<Action, 'allowed' | 'reason'> | undefined;
  to: '/create-os-layer' | '/connectors/new';
  children: ReactNode;
}

export function ActionLink({ action, to, children }: Props) {
  if (action === undefined) return null;
  if (action.allowed) return <LinkButton to={to}>{children}</LinkButton>;
  return (
    <Tooltip content={action.reason}>
      <Button isAriaDisabled>{children}</Button>
    </Tooltip>
  );
}
