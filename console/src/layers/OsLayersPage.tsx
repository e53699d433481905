// Layers ▸ OS Layers: tiles or table, filter, sort, selection, and the action bar.
import { PageSection } from '@patternfly/react-core';
import ServerIcon from '@patternfly/react-icons/dist/esm/icons/server-icon';
import { useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import type { Layer } from '../api/wire';
import { ActionLink } from '../parts/ActionLink';
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { ActionBar } from './ActionBar';
import { LayerFilters } from './LayerFilters';
import { LayerTable } from './LayerTable';
import { LayerTiles } from './LayerTiles';
import { useLayerList } from './useLayerList';

const { layers: say } = words;

export function OsLayersPage() {
  const layers = useLayerList();
  const create = useMay('create_layer');
  const { q, state } = useSearch({ from: '/signed-in/framed/layers/os' });
  return (
    <>
      <PageTop
        title={say.os}
        lead={say.osLead}
        actions={
          <ActionLink action={create} to="/create-os-layer">
            {say.create}
          </ActionLink>
        }
      />
      <PageSection isFilled className="list-section">
        <Reading of={layers}>
          {({ pages }) => {
            const all = pages.flatMap((page) => page.items);
            const more = layers.hasNextPage && !layers.isFetchingNextPage ? () => void layers.fetchNextPage() : undefined;
            return all.length === 0 && !q && !state ? (
              <NoLayers />
            ) : (
              <LayerList shown={all} whole={!layers.hasNextPage} more={more} />
            );
          }}
        </Reading>
      </PageSection>
    </>
  );
}

interface ListProps {
  shown: Layer[];
  /** Whether these are all there are. */
  whole: boolean;
  more?: () => void;
}

function LayerList({ shown, whole, more }: ListProps) {
  const { view = 'tiles' } = useSearch({ from: '/signed-in/framed/layers/os' });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const selected = useMemo(() => shown.filter((layer) => chosen.has(layer.id)), [shown, chosen]);
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const selectAll = (yes: boolean) => setChosen(new Set(yes ? shown.map((layer) => layer.id) : []));
  const list = { layers: shown, chosen, onToggle: toggle, more };
  return (
    <>
      <LayerFilters shown={shown.length} whole={whole} />
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
  const create = useMay('create_layer');
  return (
    <Nothing icon={ServerIcon} title={say.nothing} text={say.nothingText}>
      <ActionLink action={create} to="/create-os-layer">
        {say.create}
      </ActionLink>
    </Nothing>
  );
}
