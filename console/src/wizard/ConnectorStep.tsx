// Connector: where the packaging machine runs. New and Edit open in place; Test says line by line whether it works.
import { Alert, Radio } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Connector } from '../api/wire';
import { ConnectorDialog } from '../connectors/ConnectorDialog';
import { useConnectorTest } from '../connectors/useConnectorTest';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { CheckLines } from '../parts/CheckLines';
import { FieldHelp } from '../parts/TextField';
import { ProblemAlert } from '../parts/ProblemAlert';
import { useMay } from '../session/useMay';
import { words } from '../words';
import type { PackagingStepProps } from './packaging';

const { addVersion: say } = words.wizard;

export function ConnectorStep({ draft, put, wrong, connectors }: PackagingStepProps & { connectors: Connector[] }) {
  const queries = useQueryClient();
  const [dialog, setDialog] = useState<'new' | 'edit'>();
  const chosen = connectors.find((one) => one.id === draft.connector);
  const test = useConnectorTest();
  const make = useMay('create_connector');
  const choose = (connector: string) => {
    test.reset();
    put({ connector });
  };
  return (
    <>
      <p>{say.connectorLead}</p>
      {connectors.length === 0 && <Alert component="p" isInline isPlain variant="info" title={say.noConnectors} />}
      <fieldset className="choices" aria-describedby="connector-help">
        <legend className="field-label">{say.chooseConnector}</legend>
        {connectors.map((one) => (
          <Radio
            key={one.id}
            id={`connector-${one.id}`}
            name="connector"
            label={one.name}
            description={one.kind}
            isChecked={one.id === draft.connector}
            onChange={() => choose(one.id)}
          />
        ))}
        <FieldHelp id="connector-help" error={wrong('connector_id')} />
      </fieldset>
      <div className="buttons">
        <ActionButton variant="secondary" action={make} onClick={() => setDialog('new')}>
          {say.newConnector}
        </ActionButton>
        <ActionButton
          variant="secondary"
          action={chosen ? actionOf(chosen.actions, 'edit') : { allowed: false, reason: say.enterConnector }}
          onClick={() => setDialog('edit')}
        >
          {say.editConnector}
        </ActionButton>
        <ActionButton
          variant="secondary"
          isLoading={test.isPending}
          action={chosen ? actionOf(chosen.actions, 'test') : { allowed: false, reason: say.enterConnector }}
          onClick={() => chosen && test.mutate(chosen.id)}
        >
          {say.testConnector}
        </ActionButton>
      </div>
      <div aria-live="polite">
        <ProblemAlert error={test.error} />
        {test.data && <CheckLines checks={test.data.checks} />}
      </div>
      {dialog && (
        <ConnectorDialog
          connector={dialog === 'edit' ? chosen : undefined}
          onClose={() => setDialog(undefined)}
          onSaved={async (saved) => {
            await queries.invalidateQueries({ queryKey: ['connectors'] });
            choose(saved.id);
            setDialog(undefined);
          }}
        />
      )}
    </>
  );
}
