// What the one who is signed in may do that is no action of one thing: make a layer, a user, a connector, …
import { useQuery } from '@tanstack/react-query';
import { sessionQuery } from '../api/queries';
import type { Action } from '../api/wire';
import { actionOf } from '../parts/ActionButton';

/** The server's word on the operation of this name; nothing while nobody is known to be signed in. */
export function useMay(name: string): Action | undefined {
  const { data: session } = useQuery(sessionQuery);
  return actionOf(session?.actions, name);
}
