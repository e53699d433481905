// Layers as tiles: picture, name, state, versions, sizes. Rows of tiles are drawn as they come into sight.
import { Card, CardBody, CardHeader, Checkbox } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { Layer } from '../api/wire';
import { VersionStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { VirtualList } from '../parts/VirtualList';
import { useWidth } from '../parts/useWidth';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { LayerIcon } from './LayerIcon';
import { isLink, LayerMenu } from './LayerMenu';

const { layers: say } = words;
const TILE_WIDTH = 300;
const TILE_HEIGHT = 190;

interface Props {
  label: string;
  layers: Layer[];
  chosen: ReadonlySet<string>;
  onToggle: (id: string) => void;
  /** Fetches the next page; absent when there is none, or it is coming. */
  more?: () => void;
}

export function LayerTiles({ label, layers, chosen, onToggle, more }: Props) {
  const [measured, width] = useWidth<HTMLDivElement>();
  const columns = Math.max(1, Math.floor(width / TILE_WIDTH));
  const rows = Array.from({ length: Math.ceil(layers.length / columns) }, (_, row) =>
    layers.slice(row * columns, (row + 1) * columns),
  );
  return (
    <div ref={measured} className="tiles">
      <VirtualList items={rows} row={TILE_HEIGHT} label={label} keyOf={(row) => row[0]!.id} more={more}>
        {(row) => (
          <div className="tile-row" style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}>
            {row.map((layer) => (
              <Tile key={layer.id} layer={layer} isChosen={chosen.has(layer.id)} onToggle={() => onToggle(layer.id)} />
            ))}
          </div>
        )}
      </VirtualList>
    </div>
  );
}

function Tile({ layer, isChosen, onToggle }: { layer: Layer; isChosen: boolean; onToggle: () => void }) {
  const { sizes } = layer;
  const [menu, setMenu] = useState(false);
  return (
    <Card
      isCompact
      className={isChosen ? 'tile tile-chosen' : 'tile'}
      onContextMenu={(event) => {
        if (isLink(event.target)) return;
        event.preventDefault();
        setMenu(true);
      }}
    >
      <CardHeader
        actions={{
          actions: (
            <>
              <Checkbox
                id={`select-${layer.id}`}
                aria-label={say.select(layer.name)}
                isChecked={isChosen}
                onChange={onToggle}
              />
              <LayerMenu layer={layer} isOpen={menu} onOpen={setMenu} />
            </>
          ),
          hasNoOffset: true,
        }}
      >
        <div className="tile-head">
          <LayerIcon name={layer.name} />
          <Link className="tile-name" to="/layers/$kind/$id" params={{ kind: layer.kind, id: layer.id }}>
            {layer.name}
          </Link>
        </div>
      </CardHeader>
      <CardBody>
        <p className="tile-state">
          {layer.state && <VersionStateLabel state={layer.state} />} <span className="name">{layer.newest_version}</span>
        </p>
        <p className="quiet tile-description">{layer.description}</p>
        <p className="quiet tile-facts">
          <span>{say.versionCount(layer.version_count)}</span>
          {layer.newest_deployable && <span title={say.sizeHelp}>{bytes(sizes.logical_bytes)}</span>}
          {sizes.added_bytes > 0 && (
            <span title={say.storedHelp}>
              {say.stored} {bytes(sizes.added_bytes)}
            </span>
          )}
          <When at={layer.updated_at} />
        </p>
      </CardBody>
    </Card>
  );
}
