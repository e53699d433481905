// Which version of a layer: the newest one unless another is chosen.
import { FormSelect, FormSelectOption } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { versionsQuery } from '../api/queries';
import type { Layer } from '../api/wire';
import { words } from '../words';

const { addVersion: say } = words.wizard;

interface Props {
  id: string;
  layer: Pick<Layer, 'id' | 'name' | 'newest_deployable'>;
  value: string;
  onChange: (version: string) => void;
}

export function LayerVersionSelect({ id, layer, value, onChange }: Props) {
  const { data: versions = [] } = useQuery(versionsQuery(layer.id));
  const offered = versions.filter((one) => one.state === 'deployable').toReversed();
  return (
    <FormSelect id={id} aria-label={say.versionOf(layer.name)} value={value} onChange={(_, version) => onChange(version)}>
      {offered.map((one) => (
        <FormSelectOption
          key={one.id}
          value={one.id}
          label={one.id === layer.newest_deployable ? say.newestBase(one.name) : one.name}
        />
      ))}
    </FormSelect>
  );
}
