// Which server this is, and what the console is built from.
import { Modal, ModalBody, ModalHeader } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { sessionQuery } from '../api/queries';
import { words } from '../words';

const { frame: say } = words;

export function AboutDialog({ onClose }: { onClose: () => void }) {
  const { data: session } = useQuery(sessionQuery);
  return (
    <Modal isOpen variant="small" onClose={onClose} aria-label={say.about}>
      <ModalHeader title={words.session.version(session?.server.version ?? '')} />
      <ModalBody className="about">
        <p>{say.aboutText}</p>
        <p>
          <a href="/licences.txt">{say.licences}</a>
        </p>
        <p>
          <a href="/api/openapi.json">{say.apiDescription}</a>
        </p>
      </ModalBody>
    </Modal>
  );
}
