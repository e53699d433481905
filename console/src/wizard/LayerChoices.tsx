// Layers to choose from, one or many, each with the version that is wanted of it.
import { Alert, Checkbox, Radio } from '@patternfly/react-core';
import type { Layer } from '../api/wire';
import { FieldHelp } from '../parts/TextField';
import { LayerVersionSelect } from './LayerVersionSelect';

interface Props {
  legend: string;
  /** Names the group: no two on a page have the same. */
  name: string;
  layers: Layer[];
  /** Chosen versions by their layers. */
  chosen: Record<string, string>;
  many?: boolean;
  /** The choice of none, where one layer at most is chosen. */
  none?: string;
  /** Said where there is nothing to choose from. */
  empty: string;
  error?: string;
  onChange: (chosen: Record<string, string>) => void;
}

export function LayerChoices({ legend, name, layers, chosen, many, none, empty, error, onChange }: Props) {
  const offered = layers.filter((layer) => layer.newest_deployable);
  const Choice = many ? Checkbox : Radio;
  const without = (id: string) => Object.fromEntries(Object.entries(chosen).filter(([layer]) => layer !== id));
  return (
    <>
      <fieldset className="choices" aria-describedby={`${name}-help`}>
        <legend className="field-label">{legend}</legend>
        {none && (
          <Radio
            id={`${name}-none`}
            name={name}
            label={none}
            isChecked={Object.keys(chosen).length === 0}
            onChange={() => onChange({})}
          />
        )}
        {offered.map((layer) => (
          <div key={layer.id} className="layer-choice">
            <Choice
              id={`${name}-${layer.id}`}
              name={name}
              label={layer.name}
              description={layer.description}
              isChecked={layer.id in chosen}
              onChange={(_, yes) =>
                onChange(
                  yes ? { ...(many ? chosen : {}), [layer.id]: layer.newest_deployable! } : without(layer.id),
                )
              }
            />
            {layer.id in chosen && (
              <LayerVersionSelect
                id={`${name}-version-${layer.id}`}
                layer={layer}
                value={chosen[layer.id]!}
                onChange={(version) => onChange({ ...chosen, [layer.id]: version })}
              />
            )}
          </div>
        ))}
        <FieldHelp id={`${name}-help`} error={error} />
      </fieldset>
      {offered.length === 0 && <Alert component="p" isInline isPlain variant="info" title={empty} />}
    </>
  );
}
