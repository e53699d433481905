// The first start: the code that the server printed, and the first administrator. There is no default password.
import { ActionGroup, Button, Form } from '@patternfly/react-core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { sessionQuery } from '../api/queries';
import { asRefusal } from '../api/refusal';
import { LinkButton } from '../parts/LinkButton';
import { ProblemAlert } from '../parts/ProblemAlert';
import { TextField } from '../parts/TextField';
import { words } from '../words';
import { Door } from './Door';

const { session: say } = words;

export function SetupPage() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { data: session } = useQuery(sessionQuery);
  const { code: given } = useSearch({ from: '/setup' });
  const [form, setForm] = useState({ code: given ?? '', name: '', password: '', again: '' });
  const put = (field: keyof typeof form) => (value: string) => setForm({ ...form, [field]: value });
  const differ = form.again !== '' && form.again !== form.password;
  const setup = useMutation({
    mutationFn: () => {
      const { code, name, password } = form;
      return asked(client.POST('/api/v1/setup', { body: { code: code.trim(), name, password } }));
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['session'] });
      await navigate({ to: '/' });
    },
  });
  if (session && !session.setup_needed && !setup.isSuccess) {
    return (
      <Door title={say.setup} lead={say.setupDone}>
        <LinkButton to="/sign-in">{say.toSignIn}</LinkButton>
      </Door>
    );
  }
  const wrong = setup.error ? asRefusal(setup.error) : undefined;
  return (
    <Door title={say.setup} lead={say.setupLead} footer={session && say.version(session.server.version)}>
      <Form
        onSubmit={(event) => {
          event.preventDefault();
          if (form.again === form.password) setup.mutate();
        }}
      >
        <ProblemAlert error={setup.error} />
        <TextField
          required
          autoFocus
          label={say.code}
          help={say.codeHelp}
          value={form.code}
          onChange={put('code')}
          error={wrong?.field('/code')}
          autoComplete="one-time-code"
          spellCheck={false}
        />
        <TextField
          required
          label={say.name}
          value={form.name}
          onChange={put('name')}
          error={wrong?.field('/name')}
          autoComplete="username"
        />
        <TextField
          required
          type="password"
          label={say.password}
          help={say.passwordHelp}
          value={form.password}
          onChange={put('password')}
          error={wrong?.field('/password')}
          autoComplete="new-password"
        />
        <TextField
          required
          type="password"
          label={say.again}
          value={form.again}
          onChange={put('again')}
          error={differ ? say.differ : undefined}
          autoComplete="new-password"
        />
        <ActionGroup>
          <Button type="submit" isLoading={setup.isPending} isDisabled={setup.isPending}>
            {say.makeAdministrator}
          </Button>
        </ActionGroup>
      </Form>
    </Door>
  );
}
