// Packaging Disk: the temporary disk's file name, after which the machine is named, and its format.
import { FormGroup, FormSelect, FormSelectOption } from '@patternfly/react-core';
import { FieldHelp, TextField } from '../parts/TextField';
import { words } from '../words';
import type { PackagingStepProps } from './packaging';

const { addVersion: say } = words.wizard;
const FORMATS = ['qcow2', 'raw', 'vhd', 'vhdx', 'vmdk'];

export function PackagingDiskStep({ draft, put, wrong }: PackagingStepProps) {
  return (
    <>
      <TextField
        required
        label={say.fileName}
        help={say.fileNameHelp}
        value={draft.file}
        onChange={(file) => put({ file })}
        error={wrong('packaging_disk/file_name')}
        spellCheck={false}
      />
      <FormGroup label={say.format} fieldId="disk-format">
        <FormSelect
          id="disk-format"
          aria-describedby="disk-format-help"
          value={draft.format}
          onChange={(_, format) => put({ format })}
        >
          <FormSelectOption value="" label={say.formatOwn} />
          {FORMATS.map((format) => (
            <FormSelectOption key={format} value={format} label={format} />
          ))}
        </FormSelect>
        <FieldHelp id="disk-format-help" help={say.formatHelp} error={wrong('packaging_disk/format')} />
      </FormGroup>
    </>
  );
}
