// One layer: its versions as a line, and the chosen version in full.
import { PageSection } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { layerQuery, versionsQuery } from '../api/queries';
import type { Layer } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { LinkButton } from '../parts/LinkButton';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { DeleteDialog } from './DeleteDialog';
import { EditLayerDialog } from './EditDialog';
import { LayerIcon } from './LayerIcon';
import { VersionLine } from './VersionLine';
import { VersionPanel } from './VersionPanel';

const { layers: say } = words;

export function LayerPage() {
  const { id } = useParams({ from: '/signed-in/framed/layers/os/$id' });
  const layer = useQuery(layerQuery(id));
  return <Reading of={layer}>{(shown) => <OneLayer layer={shown} />}</Reading>;
}

function OneLayer({ layer }: { layer: Layer }) {
  const versions = useQuery(versionsQuery(layer.id));
  const { version } = useSearch({ from: '/signed-in/framed/layers/os/$id' });
  return (
    <>
      <PageTop
        title={layer.name}
        beside={<LayerIcon name={layer.name} />}
        lead={layer.description || undefined}
        above={[{ label: say.os, to: '/layers/os' }]}
        actions={<LayerButtons layer={layer} />}
      />
      <PageSection isFilled>
        <Reading of={versions}>
          {(all) => {
            const chosen = all.find((one) => one.id === version) ?? all.at(-1);
            return (
              <div className="layer-columns">
                <VersionLine layer={layer} versions={all} chosen={chosen?.id} />
                {chosen && <VersionPanel version={chosen} all={all} layer={layer} />}
              </div>
            );
          }}
        </Reading>
      </PageSection>
    </>
  );
}

function LayerButtons({ layer }: { layer: Layer }) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<'edit' | 'delete'>();
  const remove = useMay('delete_version');
  const close = () => setDialog(undefined);
  const to = { to: '/layers/os/$id/add-version', params: { id: layer.id } } as const;
  return (
    <>
      <ActionButton action={actionOf(layer.actions, 'add_version')} onClick={() => void navigate(to)}>
        {say.addVersion}
      </ActionButton>
      <ActionButton variant="secondary" action={actionOf(layer.actions, 'edit')} onClick={() => setDialog('edit')}>
        {say.edit}
      </ActionButton>
      <ActionButton variant="secondary" isDanger action={remove} onClick={() => setDialog('delete')}>
        {say.deleteVersions}
      </ActionButton>
      <LinkButton variant="link" to="/tasks" search={{ layer: layer.id, state: undefined }}>
        {say.inTasks}
      </LinkButton>
      {dialog === 'edit' && <EditLayerDialog layer={layer} onClose={close} />}
      {dialog === 'delete' && <DeleteDialog layers={[layer]} onClose={close} />}
    </>
  );
}
