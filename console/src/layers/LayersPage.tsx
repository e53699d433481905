// Layers of one kind: tiles or table, filter, sort, selection, and the action bar.
import { PageSection } from '@patternfly/react-core';
import CubesIcon from '@patternfly/react-icons/dist/esm/icons/cubes-icon';
import PluggedIcon from '@patternfly/react-icons/dist/esm/icons/plugged-icon';
import ServerIcon from '@patternfly/react-icons/dist/esm/icons/server-icon';
import { useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import type { Layer, LayerKind } from '../api/wire';
import { NotHerePage } from '../frame/NotHere';
import { ActionLink } from '../parts/ActionLink';
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { ActionBar } from './ActionBar';
import { kindOf } from './choices';
import { LayerFilters } from './LayerFilters';
import { LayerTable } from './LayerTable';
import { LayerTiles } from './LayerTiles';
import { useLayerList } from './useLayerList';

const { layers: say } = words;
const ICONS = { os: ServerIcon, platform: PluggedIcon, app: CubesIcon };

export function LayersPage() {
  const kind = kindOf(useParams({ from: '/signed-in/framed/layers/$kind' }).kind);
  // Another kind is another list: nothing stays selected.
  return kind === undefined ? <NotHerePage /> : <LayersOf key={kind} kind={kind} />;
}

function LayersOf({ kind }: { kind: LayerKind }) {
  const layers = useLayerList(kind);
  const { q, state } = useSearch({ from: '/signed-in/framed/layers/$kind' });
  return (
    <>
      <PageTop title={say[kind]} lead={say.lead[kind]} actions={<CreateLink kind={kind} />} />
      <PageSection isFilled className="list-section">
        <Reading of={layers}>
          {({ pages }) => {
            const all = pages.flatMap((page) => page.items);
            const more = layers.hasNextPage && !layers.isFetchingNextPage ? () => void layers.fetchNextPage() : undefined;
            return all.length === 0 && !q && !state ? (
              <Nothing icon={ICONS[kind]} title={say.nothing[kind]} text={say.nothingText[kind]}>
                <CreateLink kind={kind} />
              </Nothing>
            ) : (
              <LayerList kind={kind} shown={all} whole={!layers.hasNextPage} more={more} />
            );
          }}
        </Reading>
      </PageSection>
    </>
  );
}

function CreateLink({ kind }: { kind: LayerKind }) {
  const create = useMay('create_layer');
  return kind === 'os' ? (
    <ActionLink action={create} to="/create-os-layer">
      {say.create.os}
    </ActionLink>
  ) : (
    <ActionLink action={create} to="/create-layer/$kind" params={{ kind }}>
      {say.create[kind]}
    </ActionLink>
  );
}

interface ListProps {
  kind: LayerKind;
  shown: Layer[];
  /** Whether these are all there are. */
  whole: boolean;
  more?: () => void;
}

function LayerList({ kind, shown, whole, more }: ListProps) {
  const { view = 'tiles' } = useSearch({ from: '/signed-in/framed/layers/$kind' });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const selected = useMemo(() => shown.filter((layer) => chosen.has(layer.id)), [shown, chosen]);
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const selectAll = (yes: boolean) => setChosen(new Set(yes ? shown.map((layer) => layer.id) : []));
  const list = { label: say[kind], layers: shown, chosen, onToggle: toggle, more };
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
          <LinkButton variant="link" to="/layers/$kind" params={{ kind }}>
            {say.clearFilter}
          </LinkButton>
        </Nothing>
      )}
      {shown.length > 0 && (view === 'tiles' ? <LayerTiles {...list} /> : <LayerTable {...list} />)}
    </>
  );
}
