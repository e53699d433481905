// One layer: its versions as a line, and the chosen version in full.
import { PageSection } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { Link, Navigate, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { layerQuery, versionsQuery } from '../api/queries';
import type { Layer } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { Facts } from '../parts/Facts';
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
  const { kind, id } = useParams({ from: '/signed-in/framed/layers/$kind/$id' });
  const search = useSearch({ from: '/signed-in/framed/layers/$kind/$id' });
  const layer = useQuery(layerQuery(id));
  return (
    <Reading of={layer}>
      {(shown) =>
        shown.kind === kind ? (
          <OneLayer layer={shown} />
        ) : (
          <Navigate replace to="/layers/$kind/$id" params={{ kind: shown.kind, id }} search={search} />
        )
      }
    </Reading>
  );
}

function OneLayer({ layer }: { layer: Layer }) {
  const versions = useQuery(versionsQuery(layer.id));
  const { version } = useSearch({ from: '/signed-in/framed/layers/$kind/$id' });
  return (
    <>
      <PageTop
        title={layer.name}
        beside={<LayerIcon name={layer.name} />}
        lead={layer.description || undefined}
        above={[{ label: say[layer.kind], to: `/layers/${layer.kind}` }]}
        actions={<LayerButtons layer={layer} />}
      />
      <PageSection isFilled>
        <Rules layer={layer} />
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

/** What a platform or app layer belongs to, and what is never in it; what becomes of old versions. */
function Rules({ layer }: { layer: Layer }) {
  const { retention, old_versions: old = [] } = layer;
  if (!layer.os_layer_id && !retention) return null;
  return (
    <Facts
      facts={[
        Boolean(layer.os_layer_id) && [
          say.osLayer,
          <Link key="os" to="/layers/$kind/$id" params={{ kind: 'os', id: layer.os_layer_id! }}>
            {layer.os_layer_name}
          </Link>,
        ],
        Boolean(layer.exclusions) && [say.exclusions, <code key="exclusions" className="exclusions">{layer.exclusions}</code>],
        Boolean(retention) && [say.retention, say.rule(retention!.keep, retention!.old_versions ?? 'propose')],
        old.length > 0 && [say.oldVersions, old.map(({ name }) => name).join(', ')],
      ]}
    />
  );
}

function LayerButtons({ layer }: { layer: Layer }) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<'edit' | 'delete'>();
  const remove = useMay('delete_version');
  const close = () => setDialog(undefined);
  const to = { to: '/layers/$kind/$id/add-version', params: { kind: layer.kind, id: layer.id } } as const;
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
