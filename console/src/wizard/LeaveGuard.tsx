// Asks before a wizard is left half-way, by a link, the browser's Back, or closing the tab.
import { Button, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { useBlocker } from '@tanstack/react-router';
import { words } from '../words';

const { wizard: say } = words;

interface Props {
  /** Asked at the moment of leaving: whether there is something to lose. */
  unfinished: () => boolean;
}

export function LeaveGuard({ unfinished }: Props) {
  const { status, proceed, reset } = useBlocker({
    shouldBlockFn: ({ current, next }) => current.pathname !== next.pathname && unfinished(),
    enableBeforeUnload: unfinished,
    withResolver: true,
  });
  if (status !== 'blocked') return null;
  return (
    <Modal isOpen variant="small" onClose={reset} aria-labelledby="leave-title">
      <ModalHeader title={say.leaveTitle} labelId="leave-title" />
      <ModalBody>{say.leaveText}</ModalBody>
      <ModalFooter>
        <Button onClick={reset}>{say.stay}</Button>
        <Button variant="link" onClick={proceed}>
          {say.leave}
        </Button>
      </ModalFooter>
    </Modal>
  );
}
