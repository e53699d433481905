// The top of a page: where it is, its title, what can be done with the whole of it.
import { Breadcrumb, BreadcrumbItem, Content, PageSection } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import { useEffect, useRef, type ReactNode } from 'react';
import { arrived } from '../frame/announce';
import { words } from '../words';

interface Props {
  title: string;
  /** What stands beside the title: a state. */
  beside?: ReactNode;
  lead?: ReactNode;
  actions?: ReactNode;
  /** The pages above this one, outermost first. */
  above?: { label: string; to: string }[];
}

export function PageTop({ title, beside, lead, actions, above = [] }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = words.frame.pageTitle(title);
    arrived(title, heading.current);
  }, [title]);
  return (
    <PageSection className="page-top">
      {above.length > 0 && (
        <Breadcrumb>
          {above.map((page) => (
            <BreadcrumbItem key={page.to} render={({ className }) => <Link className={className} to={page.to}>{page.label}</Link>} />
          ))}
          <BreadcrumbItem isActive>{title}</BreadcrumbItem>
        </Breadcrumb>
      )}
      <div className="page-top-line">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {beside}
        <div className="page-top-actions">{actions}</div>
      </div>
      {lead && <Content component="p" className="lead">{lead}</Content>}
    </PageSection>
  );
}
