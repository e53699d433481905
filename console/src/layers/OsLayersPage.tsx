// Layers ▸ OS Layers: tiles or table, filter, sort, selection, and the action bar.
import { PageSection } from '@patternfly/react-core';
import ServerIcon from '@patternfly/react-icons/dist/esm/icons/server-icon';
import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { layersQuery } from '../api/queries';
import type { Layer } from '../api/wire';
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { words } from '../words';
import { ActionBar } from './ActionBar';
import { LayerFilters } from './LayerFilters';
import { LayerTable } from './LayerTable';
import { LayerTiles } from './LayerTiles';
import { useLayerList } from './useLayerList';

const { layers: say } = words;

export function OsLayersPage() {
  const layers = useQuery(layersQuery('os'));
  return (
    <>
      <PageTop
        title={say.os}
        lead={say.osLead}
        actions={<LinkButton to="/create-os-layer">{say.create}</LinkButton>}
      />
      <PageSection isFilled className="list-section">
        <Reading of={layers}>{(all) => (all.length === 0 ? <NoLayers /> : <LayerList all={all} />)}</Reading>
      </PageSection>
    </>
  );
}

function LayerList({ all }: { all: Layer[] }) {
  const { view = 'tiles' } = useSearch({ from: '/signed-in/framed/layers/os' });
  const shown = useLayerList(all);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const selected = useMemo(() => shown.filter((layer) => chosen.has(layer.id)), [shown, chosen]);
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const selectAll = (yes: boolean) => setChosen(new Set(yes ? shown.map((layer) => layer.id) : []));
  const list = { layers: shown, chosen, onToggle: toggle };
  return (
    <>
      <LayerFilters shown={shown.length} all={all.length} />
      <ActionBar
        selected={selected}
        everything={shown.length > 0 && selected.length === shown.length}
        onSelectAll={selectAll}
      />
      {shown.length === 0 && (
        <Nothing title={say.notFound} text={say.notFoundText}>
          <LinkButton variant="link" to="/layers/os">
            {say.clearFilter}
          </LinkButton>
        </Nothing>
      )}
      {shown.length > 0 && (view === 'tiles' ? <LayerTiles {...list} /> : <LayerTable {...list} />)}
    </>
  );
}

function NoLayers() {
  return (
    <Nothing icon={ServerIcon} title={say.nothing} text={say.nothingText}>
      <LinkButton to="/create-os-layer">{say.create}</LinkButton>
    </Nothing>
  );
}
