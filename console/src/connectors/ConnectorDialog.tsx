// New and Edit in place, above a wizard that goes on after it.
import { Modal, ModalBody, ModalHeader } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { connectorKindsQuery } from '../api/queries';
import type { Connector } from '../api/wire';
import { Reading } from '../parts/Reading';
import { words } from '../words';
import { ConnectorEditor } from './ConnectorEditor';
import { KindChoice } from './KindChoice';

const { connectors: say } = words;

interface Props {
  connector?: Connector;
  onSaved: (connector: Connector) => void;
  onClose: () => void;
}

export function ConnectorDialog({ connector, onSaved, onClose }: Props) {
  const id = useId();
  const kinds = useQuery(connectorKindsQuery);
  const [picked, setPicked] = useState(connector?.kind);
  return (
    <Modal isOpen variant="medium" onClose={onClose} aria-labelledby={id}>
      <ModalHeader title={connector ? say.editTitle(connector.name) : say.newTitle} labelId={id} />
      <ModalBody>
        <Reading of={kinds}>
          {(all) => {
            const kind = all.find((one) => one.kind === picked) ?? all[0]!;
            return (
              <ConnectorEditor
                key={kind.kind}
                kind={kind}
                connector={connector}
                above={!connector && <KindChoice kinds={all} value={kind.kind} onChange={setPicked} />}
                onSaved={onSaved}
                onCancel={onClose}
              />
            );
          }}
        </Reading>
      </ModalBody>
    </Modal>
  );
}
