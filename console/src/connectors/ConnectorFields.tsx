// The fields of a kind of connector, as the server describes them. The console knows no kind.
import { Button, Checkbox, FormGroup, FormSelect, FormSelectOption } from '@patternfly/react-core';
import { asRefusal } from '../api/refusal';
import type { Connector, ConnectorChoice, ConnectorField, ConnectorKind } from '../api/wire';
import { FieldHelp, TextField } from '../parts/TextField';
import { ProblemAlert } from '../parts/ProblemAlert';
import { words } from '../words';
import type { ConnectorForm } from './useConnectorForm';

const { connectors: say } = words;

interface Props {
  kind: ConnectorKind;
  form: ConnectorForm;
  connector?: Connector;
}

export function ConnectorFields({ kind, form, connector }: Props) {
  const refusal = form.save.error ? asRefusal(form.save.error) : undefined;
  const finds = kind.fields.findIndex(({ input }) => input === 'found');
  return (
    <>
      <TextField
        required
        autoFocus={connector === undefined}
        label={say.name}
        value={form.name}
        onChange={form.setName}
        error={refusal?.field('/name')}
      />
      {kind.fields.map((field, index) => (
        <div key={field.name} className="connector-field">
          {index === finds && <FindButton form={form} />}
          <OneField
            field={field}
            value={form.entered[field.name] ?? ''}
            isStored={connector?.secrets.includes(field.name) ?? false}
            choices={form.choices.data?.filter((choice) => choice.field === field.name) ?? []}
            error={refusal?.field(`/settings/${field.name}`)}
            onChange={(value) => form.enter(field.name, value)}
          />
        </div>
      ))}
    </>
  );
}

function FindButton({ form }: { form: ConnectorForm }) {
  const { choices } = form;
  return (
    <div className="find">
      <Button variant="secondary" isLoading={choices.isPending} onClick={() => choices.mutate()}>
        {say.find}
      </Button>{' '}
      <span className="quiet" role="status">
        {choices.data ? say.found(choices.data.length) : say.findHelp}
      </span>
      <ProblemAlert error={choices.error} />
    </div>
  );
}

interface FieldProps {
  field: ConnectorField;
  value: string | boolean;
  isStored: boolean;
  choices: ConnectorChoice[];
  error?: string;
  onChange: (value: string | boolean) => void;
}

function OneField({ field, value, isStored, choices, error, onChange }: FieldProps) {
  const { name, label, input, required, help, default: usual, options } = field;
  if (input === 'flag') {
    return (
      <Checkbox
        id={`setting-${name}`}
        label={label}
        description={error ?? help}
        isChecked={value === true}
        onChange={(_, yes) => onChange(yes)}
      />
    );
  }
  const text = String(value);
  if (input === 'one_of' || choices.length > 0) {
    const known = input === 'one_of' ? (options ?? []).map(asChoice) : choices;
    return (
      <Choice
        field={field}
        value={text}
        choices={known.some((one) => one.value === text) || text === '' ? known : [...known, asChoice(text)]}
        error={error}
        onChange={onChange}
      />
    );
  }
  return (
    <TextField
      required={required && !isStored}
      type={input === 'secret' ? 'password' : input === 'number' ? 'number' : 'text'}
      label={label}
      help={help}
      placeholder={isStored ? say.secretKept : (usual ?? undefined)}
      value={text}
      onChange={onChange}
      error={error}
      autoComplete={input === 'secret' ? 'new-password' : 'off'}
      spellCheck={false}
    />
  );
}

function asChoice(value: string): Pick<ConnectorChoice, 'value' | 'label' | 'detail'> {
  return { value, label: value, detail: '' };
}

interface ChoiceProps {
  field: ConnectorField;
  value: string;
  choices: Pick<ConnectorChoice, 'value' | 'label' | 'detail'>[];
  error?: string;
  onChange: (value: string) => void;
}

function Choice({ field, value, choices, error, onChange }: ChoiceProps) {
  const id = `setting-${field.name}`;
  const none = field.default ? say.useDefault(field.default) : say.choose;
  return (
    <FormGroup label={field.label} fieldId={id} isRequired={field.required}>
      <FormSelect id={id} aria-describedby={`${id}-help`} value={value} onChange={(_, next) => onChange(next)}>
        <FormSelectOption value="" label={none} />
        {choices.map((one) => (
          <FormSelectOption
            key={one.value}
            value={one.value}
            label={one.detail ? `${one.label} – ${one.detail}` : one.label}
          />
        ))}
      </FormSelect>
      <FieldHelp id={`${id}-help`} help={field.help} error={error} />
    </FormGroup>
  );
}
