// The layers a person asked to see: filtered and sorted as the address says.
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Layer } from '../api/wire';

type Order = (a: Layer, b: Layer) => number;

const ORDERS: Record<'name' | 'changed' | 'created' | 'versions', Order> = {
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  changed: (a, b) => b.updated_at.localeCompare(a.updated_at),
  created: (a, b) => b.created_at.localeCompare(a.created_at),
  versions: (a, b) => b.version_count - a.version_count,
};

const STATES = {
  deployable: (layer: Layer) => Boolean(layer.newest_deployable),
  open: (layer: Layer) => Boolean(layer.task_id),
};

export function useLayerList(layers: Layer[]): Layer[] {
  const { q = '', state, sort = 'name', down } = useSearch({ from: '/signed-in/framed/layers/os' });
  return useMemo(() => {
    const sought = q.toLowerCase();
    const order = ORDERS[sort];
    const found = layers.filter(
      (layer) =>
        `${layer.name} ${layer.description}`.toLowerCase().includes(sought) && (!state || STATES[state](layer)),
    );
    return found.sort(down ? (a, b) => order(b, a) : order);
  }, [layers, q, state, sort, down]);
}
