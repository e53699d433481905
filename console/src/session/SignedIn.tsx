// Lets through who is signed in; sends everyone else to sign in first, and back here after.
import { Navigate, Outlet, useLocation } from '@tanstack/react-router';
import { useQuery } from '@tanstack/react-query';
import { sessionQuery } from '../api/queries';
import { Reading } from '../parts/Reading';

export function SignedIn() {
  const session = useQuery(sessionQuery);
  const { href } = useLocation();
  return (
    <Reading of={session}>
      {({ setup_needed, user }) => {
        if (setup_needed && user === null) return <Navigate to="/setup" />;
        if (!user) return <Navigate to="/sign-in" search={{ to: href === '/' ? undefined : href }} />;
        return <Outlet />;
      }}
    </Reading>
  );
}
