// Name and password, and back to where the person wanted to be.
import { ActionGroup, Button, Form } from '@patternfly/react-core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useRouter, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { sessionQuery } from '../api/queries';
import { ProblemAlert } from '../parts/ProblemAlert';
import { TextField } from '../parts/TextField';
import { words } from '../words';
import { Door } from './Door';
import { GoTo } from './GoTo';
import { safeReturn } from './safeReturn';

const { session: say } = words;

export function SignInPage() {
  const queries = useQueryClient();
  const router = useRouter();
  const { data: session } = useQuery(sessionQuery);
  const to = safeReturn(useSearch({ from: '/sign-in' }).to);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const signIn = useMutation({
    mutationFn: () => asked(client.POST('/api/v1/session', { body: { name, password } })),
    onError: () => setPassword(''),
    onSuccess: async () => {
      await queries.invalidateQueries();
      router.history.push(to);
    },
  });
  if (session?.setup_needed) return <GoTo href="/setup" />;
  if (session?.user && signIn.isIdle) return <GoTo href={to} />;
  return (
    <Door title={say.signIn} lead={say.signInLead} footer={session && say.version(session.server.version)}>
      <Form
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate();
        }}
      >
        <ProblemAlert error={signIn.error} />
        <TextField required autoFocus label={say.name} value={name} onChange={setName} autoComplete="username" />
        <TextField
          required
          type="password"
          label={say.password}
          value={password}
          onChange={setPassword}
          autoComplete="current-password"
        />
        <ActionGroup>
          <Button type="submit" isLoading={signIn.isPending} isDisabled={signIn.isPending}>
            {say.signIn}
          </Button>
        </ActionGroup>
      </Form>
    </Door>
  );
}
