// Writes a connector configuration: fields, Test (of what is entered, stored or not), Save.
import { ActionGroup, Button, Form } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import type { Connector, ConnectorKind, Fix } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { ProblemAlert } from '../parts/ProblemAlert';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { ConnectorFields } from './ConnectorFields';
import { TestLines } from './TestLines';
import { useConnectorForm } from './useConnectorForm';

const { connectors: say } = words;

interface Props {
  kind: ConnectorKind;
  connector?: Connector;
  /** What stands above the fields: the choice of the kind. */
  above?: ReactNode;
  onSaved: (connector: Connector) => void;
  onCancel: () => void;
}

export function ConnectorEditor({ kind, connector, above, onSaved, onCancel }: Props) {
  const form = useConnectorForm(kind, connector);
  const [fixed, setFixed] = useState<string>();
  const { test, save } = form;
  // Whoever may make one may also try what is entered.
  const make = useMay('create_connector');
  const may = connector ? actionOf(connector.actions, 'edit') : make;
  const fix = ({ field, value }: Fix) => {
    form.enter(field, value);
    setFixed(kind.fields.find(({ name }) => name === field)?.label ?? field);
    test.reset();
  };
  return (
    <Form
      noValidate
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (may?.allowed && !save.isPending) save.mutate(undefined, { onSuccess: onSaved });
      }}
    >
      <ProblemAlert error={save.error} />
      {above}
      <ConnectorFields kind={kind} form={form} connector={connector} />
      {fixed && !test.data && <p role="status">{say.fixed(fixed)}</p>}
      <TestLines test={test} onFix={fix} />
      <ActionGroup>
        <ActionButton type="submit" action={may} isLoading={save.isPending}>
          {say.save}
        </ActionButton>
        <ActionButton variant="secondary" action={may} isLoading={test.isPending} onClick={() => test.mutate()}>
          {say.test}
        </ActionButton>
        <Button variant="link" onClick={onCancel}>
          {words.frame.cancel}
        </Button>
      </ActionGroup>
    </Form>
  );
}
