// Version Details: what the version is called, what it starts from, how large it may get.
import { FormGroup, FormSelect, FormSelectOption } from '@patternfly/react-core';
import type { Layer, Version } from '../api/wire';
import { Facts } from '../parts/Facts';
import { FieldHelp, TextField } from '../parts/TextField';
import { words } from '../words';
import type { VersionDraft } from './AddVersionPage';

const { addVersion: say } = words.wizard;

export interface StepProps {
  draft: VersionDraft;
  put: (change: Partial<VersionDraft>) => void;
  /** What is wrong with the field of this name, if anything is. */
  wrong: (field: string) => string | undefined;
}

interface Props extends StepProps {
  layer: Layer;
  versions: Version[];
}

export function VersionDetailsStep({ draft, put, wrong, layer, versions }: Props) {
  const bases = versions.filter((one) => one.state === 'deployable').toReversed();
  return (
    <>
      <Facts facts={[[say.layerOf[layer.kind], layer.name]]} />
      <TextField
        required
        label={say.version}
        help={say.versionHelp}
        value={draft.name}
        onChange={(name) => put({ name })}
        error={wrong('name')}
      />
      <TextField
        paragraph
        label={say.description}
        value={draft.description}
        onChange={(description) => put({ description })}
        error={wrong('description')}
      />
      <FormGroup label={say.base} fieldId="base">
        <FormSelect
          id="base"
          aria-describedby="base-help"
          value={draft.base || (layer.newest_deployable ?? '')}
          onChange={(_, base) => put({ base: base === layer.newest_deployable ? '' : base })}
        >
          {bases.map((one) => (
            <FormSelectOption
              key={one.id}
              value={one.id}
              label={one.id === layer.newest_deployable ? say.newestBase(one.name) : one.name}
            />
          ))}
        </FormSelect>
        <FieldHelp id="base-help" help={say.baseHelp} error={wrong('base_version_id')} />
      </FormGroup>
      <SizeField value={draft.size} onChange={(size) => put({ size })} error={wrong('max_layer_size_gib')} />
    </>
  );
}

interface SizeProps {
  value: string;
  onChange: (size: string) => void;
  error?: string;
}

export function SizeField(props: SizeProps) {
  return <TextField type="number" label={say.size} help={say.sizeHelp} placeholder={say.sizeDefault} {...props} />;
}
