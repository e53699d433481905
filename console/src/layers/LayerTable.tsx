// Layers as a table, for many of them: one line each, drawn as they come into sight.
import { Checkbox } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, useState } from 'react';
import type { Layer } from '../api/wire';
import { VersionStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { LayerIcon } from './LayerIcon';
import { isLink, LayerMenu } from './LayerMenu';

const { layers: say } = words;
const ROW = 45;
const AHEAD = 12;

interface Props {
  label: string;
  layers: Layer[];
  chosen: ReadonlySet<string>;
  onToggle: (id: string) => void;
  /** Fetches the next page; absent when there is none, or it is coming. */
  more?: () => void;
}

export function LayerTable({ label, layers, chosen, onToggle, more }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- nothing here memoizes its functions
  const list = useVirtualizer({
    count: layers.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: AHEAD,
  });
  const shown = list.getVirtualItems();
  const above = shown[0]?.start ?? 0;
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last >= layers.length - AHEAD) more();
  }, [more, last, layers.length]);
  const below = list.getTotalSize() - (shown.at(-1)?.end ?? 0);
  return (
    // What scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div ref={scroller} className="virtual table-scroll" tabIndex={0} role="region" aria-label={label}>
      <table className="table" aria-rowcount={layers.length + 1}>
        <thead>
          <tr>
            <td />
            <th scope="col">{say.name}</th>
            <th scope="col">{say.newest}</th>
            <th scope="col">{say.stateColumn}</th>
            <th scope="col" className="number">
              {say.versions}
            </th>
            <th scope="col" className="number" title={say.sizeHelp}>
              {say.size}
            </th>
            <th scope="col" className="number" title={say.storedHelp}>
              {say.stored}
            </th>
            <th scope="col">{say.changed}</th>
            <td />
          </tr>
        </thead>
        <tbody>
          <tr aria-hidden className="spacer" style={{ height: above }} />
          {shown.map(({ index }) => {
            const layer = layers[index]!;
            return (
              <Row
                key={layer.id}
                index={index}
                layer={layer}
                isChosen={chosen.has(layer.id)}
                onToggle={() => onToggle(layer.id)}
              />
            );
          })}
          <tr aria-hidden className="spacer" style={{ height: below }} />
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  index: number;
  layer: Layer;
  isChosen: boolean;
  onToggle: () => void;
}

function Row({ index, layer, isChosen, onToggle }: RowProps) {
  const { sizes } = layer;
  const [menu, setMenu] = useState(false);
  return (
    <tr
      aria-rowindex={index + 2}
      className={isChosen ? 'chosen' : undefined}
      onContextMenu={(event) => {
        if (isLink(event.target)) return;
        event.preventDefault();
        setMenu(true);
      }}
    >
      <td>
        <Checkbox
          id={`select-${layer.id}`}
          aria-label={say.select(layer.name)}
          isChecked={isChosen}
          onChange={onToggle}
        />
      </td>
      <td data-label={say.name}>
        <span className="table-name">
          <LayerIcon name={layer.name} />
          <Link to="/layers/$kind/$id" params={{ kind: layer.kind, id: layer.id }}>
            {layer.name}
          </Link>
        </span>
      </td>
      <td data-label={say.newest}>{layer.newest_version}</td>
      <td data-label={say.stateColumn}>{layer.state && <VersionStateLabel state={layer.state} />}</td>
      <td data-label={say.versions} className="number">
        {layer.version_count}
      </td>
      <td data-label={say.size} className="number">
        {layer.newest_deployable ? bytes(sizes.logical_bytes) : words.frame.none}
      </td>
      <td data-label={say.stored} className="number">
        {sizes.added_bytes > 0 ? bytes(sizes.added_bytes) : words.frame.none}
      </td>
      <td data-label={say.changed}>
        <When at={layer.updated_at} />
      </td>
      <td className="row-menu">
        <LayerMenu layer={layer} isOpen={menu} onOpen={setMenu} />
      </td>
    </tr>
  );
}
