// The steps of the wizard for image templates.
import { FormGroup, FormSelect, FormSelectOption, Radio } from '@patternfly/react-core';
import type { Refusal } from '../api/refusal';
import type { Connector, Layer } from '../api/wire';
import { FieldHelp, TextField } from '../parts/TextField';
import { LayerChoices } from '../wizard/LayerChoices';
import { words } from '../words';
import { FormatSelect } from './FormatSelect';
import type { TemplateDraft } from './templateDraft';

const { images: say } = words;

export interface TemplateStepProps {
  draft: TemplateDraft;
  put: (change: Partial<TemplateDraft>) => void;
  refusal?: Refusal;
}

interface LayerStepProps extends TemplateStepProps {
  layers: Layer[];
}

/** Of the layers of a kind those that go with the chosen OS layer. */
function together(layers: Layer[], { os }: TemplateDraft): Layer[] {
  return layers.filter((layer) => layer.os_layer_id && layer.os_layer_id in os);
}

export function NameStep({ draft, put, refusal }: TemplateStepProps) {
  return (
    <>
      <TextField
        required
        label={say.wizard.nameLabel}
        help={say.wizard.nameHelp}
        value={draft.name}
        onChange={(name) => put({ name })}
        error={refusal?.field('/name')}
      />
      <TextField
        paragraph
        label={say.wizard.description}
        value={draft.description}
        onChange={(description) => put({ description })}
        error={refusal?.field('/description')}
      />
    </>
  );
}

export function OsStep({ draft, put, refusal, layers }: LayerStepProps) {
  const choose = (os: TemplateDraft['os']) => {
    const same = Object.keys(os).every((layer) => layer in draft.os);
    // Layers of another OS layer do not go with this one.
    put(same ? { os } : { os, apps: {}, platform: {} });
  };
  return (
    <>
      <p>{say.wizard.osLead}</p>
      <LayerChoices
        legend={say.os}
        name="os"
        layers={layers}
        chosen={draft.os}
        empty={words.wizard.addVersion.osEmpty}
        error={refusal?.field('/os_version_id')}
        onChange={choose}
      />
    </>
  );
}

export function AppsStep({ draft, put, refusal, layers }: LayerStepProps) {
  return (
    <>
      <p>{say.wizard.appsLead}</p>
      <LayerChoices
        many
        legend={say.apps}
        name="app"
        layers={together(layers, draft)}
        chosen={draft.apps}
        empty={say.wizard.appsEmpty}
        error={refusal?.fieldUnder('/app_version_ids')}
        onChange={(apps) => put({ apps })}
      />
    </>
  );
}

export function PlatformStep({ draft, put, refusal, layers }: LayerStepProps) {
  return (
    <>
      <p>{say.wizard.platformLead}</p>
      <LayerChoices
        legend={say.platform}
        name="platform"
        layers={together(layers, draft)}
        chosen={draft.platform}
        none={say.wizard.platformNone}
        empty={words.wizard.addVersion.platformEmpty}
        error={refusal?.field('/platform_version_id')}
        onChange={(platform) => put({ platform })}
      />
    </>
  );
}

export function ConnectorChoiceStep({ draft, put, refusal, connectors }: TemplateStepProps & { connectors: Connector[] }) {
  return (
    <>
      <p>{say.wizard.connectorLead}</p>
      <fieldset className="choices" aria-describedby="template-connector-help">
        <legend className="field-label">{say.connector}</legend>
        <Radio
          id="template-connector-none"
          name="connector"
          label={say.wizard.connectorNone}
          isChecked={draft.connector === ''}
          onChange={() => put({ connector: '' })}
        />
        {connectors.map((one) => (
          <Radio
            key={one.id}
            id={`template-connector-${one.id}`}
            name="connector"
            label={one.name}
            description={one.kind}
            isChecked={draft.connector === one.id}
            onChange={() => put({ connector: one.id })}
          />
        ))}
        <FieldHelp id="template-connector-help" error={refusal?.field('/connector_id')} />
      </fieldset>
    </>
  );
}

export function DiskStep({ draft, put, refusal }: TemplateStepProps) {
  return (
    <>
      <TextField
        label={say.fileName}
        help={say.fileNameHelp}
        placeholder={say.fileNameOwn}
        value={draft.file}
        onChange={(file) => put({ file })}
        error={refusal?.field('/disk/file_name')}
        spellCheck={false}
      />
      <FormatSelect
        value={draft.format}
        onChange={(format) => put({ format })}
        open={say.sizeDefault}
        help={say.formatHelp}
        error={refusal?.field('/disk/format')}
      />
      <TextField
        type="number"
        label={say.size}
        help={say.sizeHelp}
        placeholder={say.sizeDefault}
        value={draft.size}
        onChange={(size) => put({ size })}
        error={refusal?.field('/disk/size_gib')}
      />
      <FormGroup label={say.generalize} fieldId="generalize">
        <FormSelect
          id="generalize"
          aria-describedby="generalize-help"
          value={draft.generalize}
          onChange={(_, generalize) => put({ generalize: generalize as TemplateDraft['generalize'] })}
        >
          {Object.entries(say.generalizes).map(([value, label]) => (
            <FormSelectOption key={value} value={value} label={label} />
          ))}
        </FormSelect>
        <FieldHelp id="generalize-help" error={refusal?.field('/generalize')} />
      </FormGroup>
    </>
  );
}
