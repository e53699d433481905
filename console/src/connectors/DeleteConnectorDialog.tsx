// Deletes a connector configuration that nothing uses.
import { useQueryClient } from '@tanstack/react-query';
import { asked, client } from '../api/client';
import type { Connector } from '../api/wire';
import { AskDialog } from '../parts/AskDialog';
import { words } from '../words';

const { connectors: say } = words;

interface Props {
  connector: Connector;
  onDeleted?: () => void;
  onClose: () => void;
}

export function DeleteConnectorDialog({ connector, onDeleted, onClose }: Props) {
  const queries = useQueryClient();
  return (
    <AskDialog
      danger
      title={say.deleteTitle(connector.name)}
      verb={say.delete}
      onClose={onClose}
      onDo={async (comment) => {
        const at = { params: { path: { id: connector.id } }, body: { comment } };
        await asked(client.DELETE('/api/v1/connectors/{id}', at));
        await queries.invalidateQueries({ queryKey: ['connectors'] });
        onDeleted?.();
      }}
    >
      <p>{say.deleteText}</p>
    </AskDialog>
  );
}
