// Which keys do what.
import { Modal, ModalBody, ModalHeader } from '@patternfly/react-core';
import { Facts } from '../parts/Facts';
import { words } from '../words';

export function KeyboardDialog({ onClose }: { onClose: () => void }) {
  return (
    <Modal isOpen variant="small" onClose={onClose} aria-label={words.frame.keyboard}>
      <ModalHeader title={words.frame.keyboard} />
      <ModalBody>
        <Facts facts={words.frame.shortcuts.map(([keys, what]) => [keys, what])} />
      </ModalBody>
    </Modal>
  );
}
