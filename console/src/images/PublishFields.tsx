// The fields of the publish dialog: where images go, and whether they are started once.
import { Checkbox, FormGroup, FormSelect, FormSelectOption } from '@patternfly/react-core';
import type { Connector } from '../api/wire';
import { FieldHelp, TextField } from '../parts/TextField';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { OWN, type PublishDraft } from './publish';

const { images: say } = words;

interface FieldProps {
  draft: PublishDraft;
  put: (change: Partial<PublishDraft>) => void;
  wrong: (field: string) => string | undefined;
}

export function Target({ draft, put, wrong, taking, several }: FieldProps & { taking: Connector[]; several: boolean }) {
  const help = draft.target === OWN ? say.toOwnHelp : draft.target ? say.toPlatformHelp : undefined;
  return (
    <FormGroup label={say.target} fieldId="publish-target">
      <FormSelect
        id="publish-target"
        aria-describedby="publish-target-help"
        value={draft.target}
        onChange={(_, target) => put({ target })}
      >
        {several && taking.length > 0 && <FormSelectOption value={OWN} label={say.toOwn} />}
        <FormSelectOption value="" label={say.toRepository} />
        {taking.map((one) => (
          <FormSelectOption key={one.id} value={one.id} label={say.toPlatform(one.name)} />
        ))}
      </FormSelect>
      <FieldHelp id="publish-target-help" help={help} error={wrong('/connector_id')} />
    </FormGroup>
  );
}

export function ToServer({ draft, put, wrong, several }: FieldProps & { several: boolean }) {
  const may = useMay('name_server_files');
  return (
    <>
      <Checkbox
        id="publish-server"
        label={say.toServer}
        description={may?.reason}
        isDisabled={!may?.allowed}
        isChecked={draft.path !== undefined}
        onChange={(_, yes) => put({ path: yes ? '' : undefined })}
      />
      {draft.path !== undefined && (
        <TextField
          required
          label={several ? say.folder : say.path}
          help={several ? say.folderHelp : say.pathHelp}
          value={draft.path}
          onChange={(path) => put({ path })}
          error={wrong('/path')}
          spellCheck={false}
        />
      )}
    </>
  );
}

interface BootProps extends FieldProps {
  /** The connectors that can do it. */
  booting: Connector[];
  /** What the kinds of connectors that can do it are called. */
  labels: string[];
  /** The one that the template names, if it does. */
  usual: string | undefined;
}

export function Boot({ draft, put, wrong, booting, labels, usual }: BootProps) {
  const first = booting.find(({ id }) => id === usual) ?? booting[0];
  const kinds = labels.join(', ');
  return (
    <>
      <Checkbox
        id="publish-boot"
        label={say.boot}
        description={first ? say.bootHelp(kinds) : say.bootNowhere(kinds)}
        isDisabled={first === undefined}
        isChecked={draft.bootOn !== undefined}
        onChange={(_, yes) => put({ bootOn: yes ? first?.id : undefined })}
      />
      {draft.bootOn !== undefined && booting.length > 1 && (
        <FormGroup label={say.bootWhere} fieldId="publish-connector">
          <FormSelect
            id="publish-connector"
            aria-describedby="publish-connector-help"
            value={draft.bootOn}
            onChange={(_, bootOn) => put({ bootOn })}
          >
            {booting.map((one) => (
              <FormSelectOption key={one.id} value={one.id} label={one.name} />
            ))}
          </FormSelect>
          <FieldHelp id="publish-connector-help" error={wrong('/boot_connector_id')} />
        </FormGroup>
      )}
    </>
  );
}
