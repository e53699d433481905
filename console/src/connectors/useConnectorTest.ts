// The test of a stored connector, line by line.
import { useMutation } from '@tanstack/react-query';
import { asked, client } from '../api/client';

export function useConnectorTest() {
  return useMutation({
    mutationFn: (id: string) => asked(client.POST('/api/v1/connectors/{id}/test', { params: { path: { id } } })),
  });
}
