// A list that is empty: one sentence, one thing to do first.
import { EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter } from '@patternfly/react-core';
import type { ComponentType, ReactNode } from 'react';

interface Props {
  title: string;
  text: string;
  icon?: ComponentType;
  /** Whether it is the whole page. */
  isPage?: boolean;
  children?: ReactNode;
}

export function Nothing({ title, text, icon, isPage, children }: Props) {
  return (
    <EmptyState titleText={title} icon={icon} headingLevel={isPage ? 'h1' : 'h2'}>
      <EmptyStateBody>{text}</EmptyStateBody>
      {children && (
        <EmptyStateFooter>
          <EmptyStateActions>{children}</EmptyStateActions>
        </EmptyStateFooter>
      )}
    </EmptyState>
  );
}
