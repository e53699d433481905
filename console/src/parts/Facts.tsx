// Names and values, one below the other.
import { DescriptionList, DescriptionListDescription, DescriptionListGroup, DescriptionListTerm } from '@patternfly/react-core';
import type { ReactNode } from 'react';

export type Fact = [name: string, value: ReactNode];

export function Facts({ facts, columns = 1 }: { facts: (Fact | false | undefined)[]; columns?: 1 | 2 | 3 }) {
  return (
    <DescriptionList isCompact columnModifier={{ default: '1Col', md: `${columns}Col` }}>
      {facts.map((fact) =>
        fact ? (
          <DescriptionListGroup key={fact[0]}>
            <DescriptionListTerm>{fact[0]}</DescriptionListTerm>
            <DescriptionListDescription>{fact[1]}</DescriptionListDescription>
          </DescriptionListGroup>
        ) : null,
      )}
    </DescriptionList>
  );
}
