// The layers a person asked to see: filtered and sorted by the server, as the address says.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { layersQuery } from '../api/queries';

export function useLayerList() {
  const { q, state, sort = 'name', down } = useSearch({ from: '/signed-in/framed/layers/os' });
  return useInfiniteQuery(layersQuery({ kind: 'os', text: q, state, sort, descending: down }));
}
