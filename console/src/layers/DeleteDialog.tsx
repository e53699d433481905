// Delete Versions: which versions of the chosen layers, or whole layers. One task for each.
import { Checkbox } from '@patternfly/react-core';
import { useQueries, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { repositoryQuery, versionsQuery } from '../api/queries';
import type { Action, Layer, Version } from '../api/wire';
import { actionOf } from '../parts/ActionButton';
import { AskDialog } from '../parts/AskDialog';
import { bytes } from '../show/bytes';
import { words } from '../words';

const { layers: say } = words;

interface Props {
  layers: Layer[];
  /** Chosen from the start. */
  version?: string;
  onClose: () => void;
}

export function DeleteDialog({ layers, version, onClose }: Props) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(version ? [version] : []));
  const versions = useQueries({ queries: layers.map((layer) => versionsQuery(layer.id)) });
  const repository = useQuery(repositoryQuery);
  const frees = new Map(repository.data?.versions.map((one) => [one.id, one.unique_stored_bytes]));
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const run = async (comment: string) => {
    for (const layer of layers.filter((one) => chosen.has(one.id))) {
      const at = { params: { path: { id: layer.id } }, body: { comment } };
      await asked(client.DELETE('/api/v1/layers/{id}', at));
    }
    const single = versions.flatMap(({ data = [] }) => data);
    for (const one of single.filter(({ id, layer_id }) => chosen.has(id) && !chosen.has(layer_id))) {
      await asked(client.DELETE('/api/v1/versions/{id}', { params: { path: { id: one.id } }, body: { comment } }));
    }
  };
  return (
    <AskDialog
      danger
      wide
      title={say.deleteTitle}
      verb={say.deleteVersions}
      blocked={chosen.size === 0 ? say.deleteNothing : undefined}
      onDo={run}
      onClose={onClose}
    >
      <p>{say.deleteLead}</p>
      {layers.map((layer, index) => (
        <fieldset key={layer.id} className="delete-choice">
          <legend className="pf-v6-screen-reader">{layer.name}</legend>
          <Choice
            id={layer.id}
            label={say.deleteLayer(layer.name)}
            action={actionOf(layer.actions, 'delete')}
            isChosen={chosen.has(layer.id)}
            onToggle={toggle}
          />
          {versions[index]?.data?.toReversed().map((one) => (
            <Choice
              key={one.id}
              inset
              id={one.id}
              label={label(layer, one, frees.get(one.id))}
              action={actionOf(one.actions, 'delete')}
              isChosen={chosen.has(one.id) || chosen.has(layer.id)}
              onToggle={toggle}
            />
          ))}
        </fieldset>
      ))}
    </AskDialog>
  );
}

function label(layer: Layer, version: Version, frees: number | undefined): string {
  const name = say.deleteVersion(layer.name, version.name);
  return frees === undefined ? name : `${name} – ${say.frees(bytes(frees))}`;
}

interface ChoiceProps {
  id: string;
  label: string;
  action: Action | undefined;
  isChosen: boolean;
  inset?: boolean;
  onToggle: (id: string) => void;
}

function Choice({ id, label: text, action, isChosen, inset, onToggle }: ChoiceProps) {
  return (
    <Checkbox
      id={`delete-${id}`}
      className={inset ? 'inset' : undefined}
      label={text}
      description={action?.reason}
      isDisabled={!action?.allowed}
      isChecked={isChosen && Boolean(action?.allowed)}
      onChange={() => onToggle(id)}
    />
  );
}
