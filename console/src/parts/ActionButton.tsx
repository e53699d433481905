// A button for something the server allows or not. When it does not, the button says why.
import { Button, Tooltip, type ButtonProps } from '@patternfly/react-core';
import type { Action } from '../api/wire';

/** The action of this name among those of a view. */
export function actionOf(actions: Action[] | undefined, name: string): Action | undefined {
  return actions?.find((action) => action.name === name);
}

interface Props extends Omit<ButtonProps, 'isDisabled' | 'isAriaDisabled' | 'action'> {
  /** What the server says of it; nothing when it says nothing, and then it is not offered. */
  action: Pick<Action, 'allowed' | 'reason'> | undefined;
}

export function ActionButton({ action, ...props }: Props) {
  if (action === undefined) return null;
  const button = <Button {...props} isAriaDisabled={!action.allowed} />;
  return action.allowed ? button : <Tooltip content={action.reason}>{button}</Tooltip>;
}
