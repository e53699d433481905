// Something that one click asks of the server: what it answers refreshes pages by events, what it refuses is told.
import { useMutation } from '@tanstack/react-query';
import { tellRefusal } from './notices';

export function useSend<A = void>(request: (argument: A) => Promise<unknown>) {
  return useMutation({ mutationFn: request, onError: tellRefusal });
}
