// Writes a connector configuration: fields, Test (of what is entered, stored or not), Save.
import { ActionGroup, Button, Form } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import type { Connector, ConnectorKind, Fix } from '../api/wire';
import { ProblemAlert } from '../parts/ProblemAlert';
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
        save.mutate(undefined, { onSuccess: onSaved });
      }}
    >
      <ProblemAlert error={save.error} />
      {above}
      <ConnectorFields kind={kind} form={form} connector={connector} />
      {fixed && !test.data && <p role="status">{say.fixed(fixed)}</p>}
      <TestLines test={test} onFix={fix} />
      <ActionGroup>
        <Button type="submit" isLoading={save.isPending} isDisabled={save.isPending}>
          {say.save}
        </Button>
        <Button variant="secondary" isLoading={test.isPending} onClick={() => test.mutate()}>
          {say.test}
        </Button>
        <Button variant="link" onClick={onCancel}>
          {words.frame.cancel}
        </Button>
      </ActionGroup>
    </Form>
  );
}
