// What can be done with one layer, behind three dots or the right mouse button.
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { Layer } from '../api/wire';
import { actionOf } from '../parts/ActionButton';
import { ActionMenu } from '../parts/ActionMenu';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { DeleteDialog } from './DeleteDialog';
import { EditLayerDialog } from './EditDialog';
import { ExportDialog } from './ExportDialog';
import { PruneDialog } from './PruneDialog';

const { layers: say } = words;

interface Props {
  layer: Layer;
  isOpen: boolean;
  onOpen: (yes: boolean) => void;
}

export function LayerMenu({ layer, isOpen, onOpen }: Props) {
  const navigate = useNavigate();
  const remove = useMay('delete_version');
  const [dialog, setDialog] = useState<'edit' | 'export' | 'prune' | 'delete'>();
  const close = () => setDialog(undefined);
  return (
    <>
      <ActionMenu
        label={words.settings.more(layer.name)}
        isOpen={isOpen}
        onOpen={onOpen}
        entries={[
          {
            label: say.addVersion,
            action: actionOf(layer.actions, 'add_version'),
            onChoose: () =>
              void navigate({
                to: '/layers/$kind/$id/add-version',
                params: { kind: layer.kind, id: layer.id },
              }),
          },
          { label: say.edit, action: actionOf(layer.actions, 'edit'), onChoose: () => setDialog('edit') },
          { label: say.export, action: exportable(layer), onChoose: () => setDialog('export') },
          { label: words.schedules.prune, action: remove, danger: true, onChoose: () => setDialog('prune') },
          { label: say.deleteVersions, action: remove, danger: true, onChoose: () => setDialog('delete') },
        ]}
      />
      {dialog === 'edit' && <EditLayerDialog layer={layer} onClose={close} />}
      {dialog === 'export' && <ExportDialog layerId={layer.id} onClose={close} />}
      {dialog === 'prune' && <PruneDialog layer={layer} onClose={close} />}
      {dialog === 'delete' && <DeleteDialog layers={[layer]} onClose={close} />}
    </>
  );
}

/** Whether the layer has something to export; which version, and whether one may, the dialog tells. */
export function exportable(layer: Layer): { allowed: boolean; reason?: string } {
  return layer.newest_deployable ? { allowed: true } : { allowed: false, reason: say.nothingToExport };
}

/** Whether the browser's own menu is wanted: a link is opened in another tab by it. */
export function isLink(target: EventTarget): boolean {
  return target instanceof Element && target.closest('a') !== null;
}
