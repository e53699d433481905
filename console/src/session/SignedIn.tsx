// Lets through who is signed in; sends everyone else to sign in first, and back here after.
import { Outlet, useLocation } from '@tanstack/react-router';
import { useQuery } from '@tanstack/react-query';
import { sessionQuery } from '../api/queries';
import { Reading } from '../parts/Reading';
import { GoTo } from './GoTo';

export function SignedIn() {
  const session = useQuery(sessionQuery);
  const { href } = useLocation();
  return (
    <Reading of={session}>
      {({ setup_needed, user }) => {
        if (user) return <Outlet />;
        if (setup_needed) return <GoTo href="/setup" />;
        return <GoTo href={href === '/' ? '/sign-in' : `/sign-in?to=${encodeURIComponent(href)}`} />;
      }}
    </Reading>
  );
}
