// What a query has read, or that it is being read, or why it could not be.
import { Bullseye, Spinner } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import { words } from '../words';
import { ProblemAlert } from './ProblemAlert';

interface Read<T> {
  data: T | undefined;
  error: unknown;
  refetch: () => unknown;
}

export function Reading<T>({ of, children }: { of: Read<T>; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) return <>{children(of.data)}</>;
  if (of.error) return <ProblemAlert error={of.error} onRetry={() => void of.refetch()} />;
  return <Loading />;
}

export function Loading() {
  return (
    <Bullseye>
      <Spinner aria-label={words.frame.loading} />
    </Bullseye>
  );
}
