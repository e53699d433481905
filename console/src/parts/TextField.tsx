// A labelled line or paragraph of text with its help, and what is wrong with it right below it.
import {
  FormGroup,
  FormHelperText,
  HelperText,
  HelperTextItem,
  TextArea,
  TextInput,
  type TextInputProps,
} from '@patternfly/react-core';
import { useId, type ReactNode } from 'react';

interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
  help?: ReactNode;
  /** What is wrong with it, when something is. */
  error?: string;
  required?: boolean;
  type?: TextInputProps['type'];
  paragraph?: boolean;
  placeholder?: string;
  autoComplete?: string;
  autoFocus?: boolean;
  spellCheck?: boolean;
}

export function TextField({ label, value, onChange, help, error, required, paragraph, ...rest }: Props) {
  const id = useId();
  const shared = {
    id,
    value,
    validated: error ? ('error' as const) : ('default' as const),
    'aria-describedby': help || error ? `${id}-help` : undefined,
    ...rest,
  };
  return (
    <FormGroup label={label} fieldId={id} isRequired={required}>
      {paragraph ? (
        <TextArea {...shared} type={undefined} resizeOrientation="vertical" onChange={(_, text) => onChange(text)} />
      ) : (
        <TextInput {...shared} isRequired={required} onChange={(_, text) => onChange(text)} />
      )}
      <FieldHelp id={`${id}-help`} help={help} error={error} />
    </FormGroup>
  );
}

export function FieldHelp({ id, help, error }: { id: string; help?: ReactNode; error?: string }) {
  if (!help && !error) return null;
  return (
    <FormHelperText>
      <HelperText id={id} aria-live="polite">
        {error && <HelperTextItem variant="error">{error}</HelperTextItem>}
        {help && !error && <HelperTextItem>{help}</HelperTextItem>}
      </HelperText>
    </FormHelperText>
  );
}
