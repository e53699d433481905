// Export: a version as a bootable disk, to a file on the server or to this computer.
import { Checkbox, FormGroup, FormSelect, FormSelectOption, Radio } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { versionsQuery } from '../api/queries';
import { Refusal } from '../api/refusal';
import type { ExportFormat } from '../api/wire';
import { actionOf } from '../parts/ActionButton';
import { AskDialog } from '../parts/AskDialog';
import { TextField } from '../parts/TextField';
import { useMay } from '../session/useMay';
import { words } from '../words';

const { layers: say } = words;
const FORMATS = Object.keys(say.formats) as ExportFormat[];

interface Props {
  layerId: string;
  /** Chosen from the start; else the newest one that can be exported. */
  version?: string;
  onClose: () => void;
}

export function ExportDialog({ layerId, version, onClose }: Props) {
  const { data: versions = [] } = useQuery(versionsQuery(layerId));
  const offered = versions.filter((one) => actionOf(one.actions, 'export')?.allowed).toReversed();
  const [picked, setPicked] = useState(version);
  const [format, setFormat] = useState<ExportFormat>('qcow2');
  const server = useMay('name_server_files');
  const [wanted, setHere] = useState(false);
  const here = wanted || !server?.allowed;
  const [path, setPath] = useState('');
  const [overwrite, setOverwrite] = useState(false);
  const [wrong, setWrong] = useState<Refusal>();
  const id = picked ?? offered[0]?.id ?? '';
  const run = async () => {
    if (here) {
      window.location.assign(`/api/v1/versions/${id}/disk?format=${format}`);
      return;
    }
    const request = { params: { path: { id } }, body: { format, path, overwrite } };
    await asked(client.POST('/api/v1/versions/{id}/export', request)).catch((error: unknown) => {
      if (error instanceof Refusal) setWrong(error);
      throw error;
    });
  };
  return (
    <AskDialog
      title={say.exportTitle}
      verb={here ? say.download : say.export}
      withComment={false}
      blocked={id === '' ? say.nothingToExport : undefined}
      onDo={run}
      onClose={onClose}
    >
      <p>{say.exportLead}</p>
      <FormGroup label={say.exportVersion} fieldId="export-version">
        <FormSelect id="export-version" value={id} onChange={(_, next) => setPicked(next)}>
          {offered.map((one) => (
            <FormSelectOption key={one.id} value={one.id} label={one.name} />
          ))}
        </FormSelect>
      </FormGroup>
      <FormGroup label={say.format} fieldId="export-format">
        <FormSelect id="export-format" value={format} onChange={(_, next) => setFormat(next as ExportFormat)}>
          {FORMATS.map((one) => (
            <FormSelectOption key={one} value={one} label={say.formats[one]} />
          ))}
        </FormSelect>
      </FormGroup>
      <FormGroup role="radiogroup" label={say.target} isStack fieldId="export-target">
        <Radio
          id="to-server"
          name="target"
          label={say.toServer}
          description={server?.reason}
          isDisabled={!server?.allowed}
          isChecked={!here}
          onChange={() => setHere(false)}
        />
        <Radio id="to-browser" name="target" label={say.toBrowser} isChecked={here} onChange={() => setHere(true)} />
      </FormGroup>
      {!here && (
        <>
          <TextField
            required
            label={say.path}
            help={say.pathHelp}
            value={path}
            onChange={setPath}
            error={wrong?.field('/path')}
            spellCheck={false}
          />
          <Checkbox
            id="overwrite"
            label={say.overwrite}
            isChecked={overwrite}
            onChange={(_, yes) => setOverwrite(yes)}
          />
        </>
      )}
    </AskDialog>
  );
}
