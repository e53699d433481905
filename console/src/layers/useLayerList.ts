// The layers a person asked to see: filtered and sorted by the server, as the address says.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { layersQuery } from '../api/queries';
import type { LayerKind } from '../api/wire';

export function useLayerList(kind: LayerKind) {
  const { q, state, sort = 'name', down } = useSearch({ from: '/signed-in/framed/layers/$kind' });
  return useInfiniteQuery(layersQuery({ kind, text: q, state, sort, descending: down }));
}
