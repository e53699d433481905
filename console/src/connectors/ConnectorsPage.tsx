// All connector configurations, each with its settings and its test.
import { Card, CardBody, CardFooter, CardHeader, CardTitle, PageSection } from '@patternfly/react-core';
import PluggedIcon from '@patternfly/react-icons/dist/esm/icons/plugged-icon';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { connectorKindsQuery, connectorsQuery } from '../api/queries';
import type { Connector, ConnectorKind, Settings } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { ActionLink } from '../parts/ActionLink';
import { Facts, type Fact } from '../parts/Facts';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { When } from '../parts/When';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { DeleteConnectorDialog } from './DeleteConnectorDialog';
import { TestLines } from './TestLines';
import { useConnectorTest } from './useConnectorTest';

const { connectors: say } = words;

export function ConnectorsPage() {
  const connectors = useQuery(connectorsQuery);
  const { data: kinds = [] } = useQuery(connectorKindsQuery);
  const may = useMay('create_connector');
  const make = (
    <ActionLink action={may} to="/connectors/new">
      {say.new}
    </ActionLink>
  );
  return (
    <>
      <PageTop title={say.title} lead={say.lead} actions={make} />
      <PageSection isFilled>
        <Reading of={connectors}>
          {(all) =>
            all.length === 0 ? (
              <Nothing icon={PluggedIcon} title={say.nothing} text={say.nothingText}>
                {make}
              </Nothing>
            ) : (
              <ul className="cards">
                {all.map((connector) => (
                  <li key={connector.id}>
                    <ConnectorCard connector={connector} kind={kinds.find((one) => one.kind === connector.kind)} />
                  </li>
                ))}
              </ul>
            )
          }
        </Reading>
      </PageSection>
    </>
  );
}

function ConnectorCard({ connector, kind }: { connector: Connector; kind?: ConnectorKind }) {
  const navigate = useNavigate();
  const test = useConnectorTest();
  const [deleting, setDeleting] = useState(false);
  return (
    <Card isCompact>
      <CardHeader>
        <CardTitle component="h2">
          <Link to="/connectors/$id" params={{ id: connector.id }}>
            {connector.name}
          </Link>
        </CardTitle>
      </CardHeader>
      <CardBody>
        <Facts
          columns={2}
          facts={[
            [say.kind, kind?.label ?? connector.kind],
            [say.changed, <When key="changed" at={connector.updated_at} />],
            ...settingFacts(connector, kind),
          ]}
        />
        <TestLines test={test} />
      </CardBody>
      <CardFooter className="buttons">
        <ActionButton
          variant="secondary"
          action={actionOf(connector.actions, 'test')}
          isLoading={test.isPending}
          onClick={() => test.mutate(connector.id)}
        >
          {say.test}
        </ActionButton>
        <ActionButton
          variant="secondary"
          action={actionOf(connector.actions, 'edit')}
          onClick={() => void navigate({ to: '/connectors/$id', params: { id: connector.id } })}
        >
          {say.edit}
        </ActionButton>
        <ActionButton
          variant="secondary"
          isDanger
          action={actionOf(connector.actions, 'delete')}
          onClick={() => setDeleting(true)}
        >
          {say.delete}
        </ActionButton>
      </CardFooter>
      {deleting && <DeleteConnectorDialog connector={connector} onClose={() => setDeleting(false)} />}
    </Card>
  );
}

/** What is set, by the labels of its kind; what is not set has its default and is not listed. */
function settingFacts(connector: Connector, kind: ConnectorKind | undefined): Fact[] {
  const label = (name: string) => kind?.fields.find((field) => field.name === name)?.label ?? name;
  const settings = Object.entries((connector.settings ?? {}) as Settings);
  const shown = (value: unknown) => (typeof value === 'boolean' ? (value ? say.yes : say.no) : String(value));
  return [
    ...settings.map(([name, value]): Fact => [label(name), <span key={name} className="name">{shown(value)}</span>]),
    ...connector.secrets.map((name): Fact => [label(name), say.stored]),
  ];
}
