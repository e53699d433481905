// The page before the console: one card with one form.
import { Card, CardBody, CardFooter, CardTitle } from '@patternfly/react-core';
import { useEffect, type ReactNode } from 'react';
import { words } from '../words';

interface Props {
  title: string;
  lead: string;
  footer?: ReactNode;
  children: ReactNode;
}

export function Door({ title, lead, footer, children }: Props) {
  useEffect(() => {
    document.title = words.frame.pageTitle(title);
  }, [title]);
  return (
    <main className="door">
      <div className="door-brand">
        <img src="/mark.svg" alt="" width={48} height={48} />
        <span>{words.frame.product}</span>
      </div>
      <Card isLarge>
        <CardTitle component="h1">{title}</CardTitle>
        <CardBody>
          <p className="lead">{lead}</p>
          {children}
        </CardBody>
        {footer && <CardFooter className="quiet">{footer}</CardFooter>}
      </Card>
    </main>
  );
}
