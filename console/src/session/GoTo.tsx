// Sends the person to another address of the console, once, in place of this one.
import { useRouter } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { Loading } from '../parts/Reading';

/** `href` is a path with its query. What it is later does not matter: the address changes while this is still shown. */
export function GoTo({ href }: { href: string }) {
  const router = useRouter();
  const [first] = useState(href);
  useEffect(() => router.history.replace(first), [router, first]);
  return <Loading />;
}
