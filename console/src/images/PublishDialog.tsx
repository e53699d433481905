// Publish: where the image goes, and whether it is started once to see that it boots.
import { Checkbox, FormGroup, FormSelect, FormSelectOption, Radio } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { connectorsQuery } from '../api/queries';
import { Refusal } from '../api/refusal';
import { newId } from '../api/uuid';
import type { Template } from '../api/wire';
import { AskDialog } from '../parts/AskDialog';
import { Facts } from '../parts/Facts';
import { FieldHelp, TextField } from '../parts/TextField';
import { useMay } from '../session/useMay';
import { bytes } from '../show/bytes';
import { words } from '../words';

const { images: say } = words;

export function PublishDialog({ template, onClose }: { template: Template; onClose: () => void }) {
  const { data: connectors = [] } = useQuery(connectorsQuery);
  const server = useMay('name_server_files');
  const [id] = useState(newId);
  const [toServer, setToServer] = useState(false);
  const [path, setPath] = useState('');
  const [boot, setBoot] = useState(false);
  const [connector, setConnector] = useState('');
  const [wrong, setWrong] = useState<Refusal>();
  const run = (comment: string) => {
    const body = {
      image_id: id,
      path: toServer ? path : undefined,
      boot_and_check: boot,
      connector_id: (boot && connector) || undefined,
      comment,
    };
    const request = { params: { path: { id: template.id } }, body };
    return asked(client.POST('/api/v1/templates/{id}/publish', request)).catch((error: unknown) => {
      if (error instanceof Refusal) setWrong(error);
      throw error;
    });
  };
  return (
    <AskDialog title={say.publishTitle(template.name)} verb={say.publish} onDo={run} onClose={onClose}>
      <p>{say.publishLead}</p>
      <Facts
        columns={2}
        facts={[
          [say.estimate, <span key="estimate" title={say.estimateHelp}>{bytes(template.estimate_bytes)}</span>],
          [say.format, template.disk.format],
        ]}
      />
      <FormGroup role="radiogroup" label={say.target} isStack fieldId="publish-target">
        <Radio
          id="publish-repository"
          name="target"
          label={say.toRepository}
          isChecked={!toServer}
          onChange={() => setToServer(false)}
        />
        <Radio
          id="publish-server"
          name="target"
          label={say.toServer}
          description={server?.reason}
          isDisabled={!server?.allowed}
          isChecked={toServer}
          onChange={() => setToServer(true)}
        />
      </FormGroup>
      {toServer && (
        <TextField
          required
          label={say.path}
          help={say.pathHelp}
          value={path}
          onChange={setPath}
          error={wrong?.field('/path')}
          spellCheck={false}
        />
      )}
      <Checkbox
        id="publish-boot"
        label={say.boot}
        description={say.bootHelp}
        isChecked={boot}
        onChange={(_, yes) => setBoot(yes)}
      />
      {boot && (
        <FormGroup label={say.bootWhere} fieldId="publish-connector">
          <FormSelect
            id="publish-connector"
            aria-describedby="publish-connector-help"
            value={connector}
            onChange={(_, chosen) => setConnector(chosen)}
          >
            <FormSelectOption value="" label={template.connector_name ?? say.bootOwn} />
            {connectors
              .filter((one) => one.id !== template.connector_id)
              .map((one) => (
                <FormSelectOption key={one.id} value={one.id} label={one.name} />
              ))}
          </FormSelect>
          <FieldHelp id="publish-connector-help" error={wrong?.field('/connector_id')} />
        </FormGroup>
      )}
    </AskDialog>
  );
}
