// What can be done with the layers that are selected.
//
// A button is for one layer or for many. What the server says of the layer decides; that exactly one must be chosen is
// the only thing decided here, because the server does not know what is selected.
import { Checkbox } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { versionsQuery } from '../api/queries';
import type { Action, Layer, Version } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { DeleteDialog } from './DeleteDialog';
import { EditLayerDialog } from './EditDialog';
import { ExportDialog } from './ExportDialog';
import { FinalizeDialog } from './FinalizeButton';
import { exportable } from './LayerMenu';

const { layers: say } = words;

type Verdict = Pick<Action, 'allowed' | 'reason'>;

interface Props {
  selected: Layer[];
  everything: boolean;
  onSelectAll: (yes: boolean) => void;
}

export function ActionBar({ selected, everything, onSelectAll }: Props) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<'edit' | 'delete' | 'export' | 'finalize'>();
  const one = selected.length === 1 ? selected[0] : undefined;
  const { data: versions = [] } = useQuery({ ...versionsQuery(one?.id ?? ''), enabled: one !== undefined });
  const waiting = versions.find((version) => version.state === 'finalizable');
  const remove = useMay('delete_version');
  const close = () => setDialog(undefined);
  return (
    <div className="action-bar" role="toolbar" aria-label={say.actionBar}>
      <Checkbox
        id="select-all"
        aria-label={say.selectAll}
        isChecked={everything ? true : selected.length > 0 ? null : false}
        onChange={(_, yes) => onSelectAll(yes)}
      />
      <span className="action-bar-count">{say.selected(selected.length)}</span>
      <ActionButton
        variant="secondary"
        action={onlyFor(selected, (layer) => actionOf(layer.actions, 'add_version'))}
        onClick={() =>
          one && void navigate({ to: '/layers/$kind/$id/add-version', params: { kind: one.kind, id: one.id } })
        }
      >
        {say.addVersion}
      </ActionButton>
      <ActionButton
        variant="secondary"
        action={onlyFor(selected, () => finalize(waiting))}
        onClick={() => setDialog('finalize')}
      >
        {say.finalize}
      </ActionButton>
      <ActionButton
        variant="secondary"
        action={onlyFor(selected, (layer) => actionOf(layer.actions, 'edit'))}
        onClick={() => setDialog('edit')}
      >
        {say.edit}
      </ActionButton>
      <ActionButton
        variant="secondary"
        action={onlyFor(selected, (layer) => exportable(layer))}
        onClick={() => setDialog('export')}
      >
        {say.export}
      </ActionButton>
      <ActionButton
        variant="secondary"
        isDanger
        action={remove?.allowed && selected.length === 0 ? { allowed: false, reason: say.chooseSome } : remove}
        onClick={() => setDialog('delete')}
      >
        {say.deleteVersions}
      </ActionButton>
      {dialog === 'edit' && one && <EditLayerDialog layer={one} onClose={close} />}
      {dialog === 'export' && one && <ExportDialog layerId={one.id} onClose={close} />}
      {dialog === 'finalize' && waiting && <FinalizeDialog version={waiting} onClose={close} />}
      {dialog === 'delete' && <DeleteDialog layers={selected} onClose={close} />}
    </div>
  );
}

function onlyFor(selected: Layer[], verdict: (layer: Layer) => Verdict | undefined): Verdict {
  const [one, another] = selected;
  if (one === undefined) return { allowed: false, reason: say.chooseOne };
  if (another !== undefined) return { allowed: false, reason: say.onlyOne };
  return verdict(one) ?? { allowed: false };
}

function finalize(waiting: Version | undefined): Verdict | undefined {
  return waiting ? actionOf(waiting.actions, 'finalize') : { allowed: false, reason: say.nothingToFinalize };
}
