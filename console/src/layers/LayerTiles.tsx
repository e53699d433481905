// Layers as tiles: picture, name, state, versions, sizes. Rows of tiles are drawn as they come into sight.
import { Card, CardBody, CardHeader, Checkbox } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import type { Layer } from '../api/wire';
import { VersionStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { VirtualList } from '../parts/VirtualList';
import { useWidth } from '../parts/useWidth';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { LayerIcon } from './LayerIcon';
import { useSummary } from './useSummary';

const { layers: say } = words;
const TILE_WIDTH = 300;
const TILE_HEIGHT = 190;

interface Props {
  layers: Layer[];
  chosen: ReadonlySet<string>;
  onToggle: (id: string) => void;
}

export function LayerTiles({ layers, chosen, onToggle }: Props) {
  const [measured, width] = useWidth<HTMLDivElement>();
  const columns = Math.max(1, Math.floor(width / TILE_WIDTH));
  const rows = Array.from({ length: Math.ceil(layers.length / columns) }, (_, row) =>
    layers.slice(row * columns, (row + 1) * columns),
  );
  return (
    <div ref={measured} className="tiles">
      <VirtualList items={rows} row={TILE_HEIGHT} label={say.os} keyOf={(row) => row[0]!.id}>
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
  const { newest, data, stored } = useSummary(layer);
  return (
    <Card isCompact className={isChosen ? 'tile tile-chosen' : 'tile'}>
      <CardHeader
        actions={{
          actions: (
            <Checkbox
              id={`select-${layer.id}`}
              aria-label={say.select(layer.name)}
              isChecked={isChosen}
              onChange={onToggle}
            />
          ),
          hasNoOffset: true,
        }}
      >
        <div className="tile-head">
          <LayerIcon name={layer.name} />
          <Link className="tile-name" to="/layers/os/$id" params={{ id: layer.id }}>
            {layer.name}
          </Link>
        </div>
      </CardHeader>
      <CardBody>
        <p className="tile-state">
          {newest && <VersionStateLabel state={newest.state} />} {newest && <span className="name">{newest.name}</span>}
        </p>
        <p className="quiet tile-description">{layer.description}</p>
        <p className="quiet tile-facts">
          <span>{say.versionCount(layer.version_count)}</span>
          {data !== undefined && <span title={say.sizeHelp}>{bytes(data)}</span>}
          {stored !== undefined && stored > 0 && (
            <span title={say.storedHelp}>
              {say.stored} {bytes(stored)}
            </span>
          )}
          <When at={layer.updated_at} />
        </p>
      </CardBody>
    </Card>
  );
}
