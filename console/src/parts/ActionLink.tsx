// A button that leads to a page where something is done that the server allows or not. When it does not, the button says why.
import { Button, Tooltip } from '@patternfly/react-core';
import type { LinkProps } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Action } from '../api/wire';
import { LinkButton } from './LinkButton';

interface Props extends Pick<LinkProps, 'to' | 'params' | 'search'> {
  /** What the server says of it; nothing when it says nothing, and then it is not offered. */
  action: Pick<Action, 'allowed' | 'reason'> | undefined;
  variant?: 'primary' | 'secondary';
  children: ReactNode;
}

export function ActionLink({ action, variant, children, ...link }: Props) {
  if (action === undefined) return null;
  if (action.allowed) {
    return (
      <LinkButton variant={variant} {...link}>
        {children}
      </LinkButton>
    );
  }
  return (
    <Tooltip content={action.reason}>
      <Button variant={variant} isAriaDisabled>
        {children}
      </Button>
    </Tooltip>
  );
}
