// The format of an image's disk.
import { FormGroup, FormSelect, FormSelectOption } from '@patternfly/react-core';
import type { ExportFormat } from '../api/wire';
import { FieldHelp } from '../parts/TextField';
import { words } from '../words';

const { images: say, layers } = words;
const FORMATS = Object.keys(layers.formats) as ExportFormat[];

interface Props {
  value: ExportFormat | '';
  onChange: (format: ExportFormat | '') => void;
  /** What leaving it open is called, where it may be left open. */
  open?: string;
  help?: string;
  error?: string;
}

export function FormatSelect({ value, onChange, open, help, error }: Props) {
  return (
    <FormGroup label={say.format} fieldId="image-format">
      <FormSelect
        id="image-format"
        aria-describedby="image-format-help"
        value={value}
        onChange={(_, format) => onChange(format as ExportFormat | '')}
      >
        {open && <FormSelectOption value="" label={open} />}
        {FORMATS.map((format) => (
          <FormSelectOption key={format} value={format} label={layers.formats[format]} />
        ))}
      </FormSelect>
      <FieldHelp id="image-format-help" help={help} error={error} />
    </FormGroup>
  );
}
