// Which kind of platform a new connector is for.
import { FormGroup, FormSelect, FormSelectOption } from '@patternfly/react-core';
import type { ConnectorKind } from '../api/wire';
import { words } from '../words';

interface Props {
  kinds: ConnectorKind[];
  value: string;
  onChange: (kind: string) => void;
}

export function KindChoice({ kinds, value, onChange }: Props) {
  return (
    <FormGroup label={words.connectors.kind} fieldId="kind">
      <FormSelect id="kind" value={value} onChange={(_, kind) => onChange(kind)}>
        {kinds.map(({ kind, label }) => (
          <FormSelectOption key={kind} value={kind} label={label} />
        ))}
      </FormSelect>
    </FormGroup>
  );
}
