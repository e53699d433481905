// One connector configuration, new or stored, on a page of its own.
import { Button, PageSection } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { connectorKindsQuery, connectorQuery } from '../api/queries';
import type { Connector } from '../api/wire';
import { tell } from '../frame/notices';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { words } from '../words';
import { ConnectorEditor } from './ConnectorEditor';
import { DeleteConnectorDialog } from './DeleteConnectorDialog';
import { KindChoice } from './KindChoice';

const { connectors: say } = words;
const ABOVE = [{ label: say.title, to: '/connectors' }];

export function NewConnectorPage() {
  const kinds = useQuery(connectorKindsQuery);
  const navigate = useNavigate();
  const [picked, setPicked] = useState<string>();
  return (
    <>
      <PageTop title={say.newTitle} above={ABOVE} />
      <PageSection isFilled className="narrow">
        <Reading of={kinds}>
          {(all) => {
            const kind = all.find((one) => one.kind === picked) ?? all[0]!;
            return (
              <ConnectorEditor
                key={kind.kind}
                kind={kind}
                above={<KindChoice kinds={all} value={kind.kind} onChange={setPicked} />}
                onSaved={({ id }) => {
                  tell(say.saved);
                  void navigate({ to: '/connectors/$id', params: { id } });
                }}
                onCancel={() => void navigate({ to: '/connectors' })}
              />
            );
          }}
        </Reading>
      </PageSection>
    </>
  );
}

export function ConnectorPage() {
  const { id } = useParams({ from: '/signed-in/framed/connectors/$id' });
  const connector = useQuery(connectorQuery(id));
  return <Reading of={connector}>{(shown) => <StoredConnector connector={shown} />}</Reading>;
}

function StoredConnector({ connector }: { connector: Connector }) {
  const kinds = useQuery(connectorKindsQuery);
  const navigate = useNavigate();
  const [deleting, setDeleting] = useState(false);
  const back = () => void navigate({ to: '/connectors' });
  return (
    <>
      <PageTop
        title={connector.name}
        above={ABOVE}
        actions={
          <ActionButton
            variant="secondary"
            isDanger
            action={actionOf(connector.actions, 'delete')}
            onClick={() => setDeleting(true)}
          >
            {say.delete}
          </ActionButton>
        }
      />
      <PageSection isFilled className="narrow">
        <Reading of={kinds}>
          {(all) => {
            const kind = all.find((one) => one.kind === connector.kind);
            if (!kind) return <Button onClick={back}>{say.title}</Button>;
            return (
              <ConnectorEditor
                // What somebody else saves in the meantime is a new form.
                key={connector.updated_at}
                kind={kind}
                connector={connector}
                onSaved={() => tell(say.saved)}
                onCancel={back}
              />
            );
          }}
        </Reading>
      </PageSection>
      {deleting && (
        <DeleteConnectorDialog connector={connector} onDeleted={back} onClose={() => setDeleting(false)} />
      )}
    </>
  );
}
