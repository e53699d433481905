// A connector configuration that is being written: what was entered, what the platform has, what a test found, saving it.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import type { Connector, ConnectorKind, Settings } from '../api/wire';
import { newId } from '../api/uuid';

/** Settings as fields hold them: text, or yes and no. Empty text is a setting left out. */
export type Entered = Record<string, string | boolean>;

export interface ConnectorForm {
  name: string;
  setName: (name: string) => void;
  entered: Entered;
  enter: (field: string, value: string | boolean) => void;
  test: ReturnType<typeof useTest>;
  choices: ReturnType<typeof useChoices>;
  save: ReturnType<typeof useSave>;
}

interface Draft {
  connector_id?: string;
  kind: string;
  settings: Settings;
}

export function useConnectorForm(kind: ConnectorKind, connector: Connector | undefined): ConnectorForm {
  const [name, setName] = useState(connector?.name ?? '');
  const [entered, setEntered] = useState<Entered>(() => asEntered(kind, connector));
  const draft: Draft = { connector_id: connector?.id, kind: kind.kind, settings: asSettings(kind, entered) };
  return {
    name,
    setName,
    entered,
    enter: (field, value) => setEntered((old) => ({ ...old, [field]: value })),
    test: useTest(draft),
    choices: useChoices(draft),
    save: useSave(kind, connector, name, draft.settings),
  };
}

function useTest(draft: Draft) {
  return useMutation({ mutationFn: () => asked(client.POST('/api/v1/connectors/test', { body: draft })) });
}

function useChoices(draft: Draft) {
  return useMutation({
    mutationFn: async () => (await asked(client.POST('/api/v1/connectors/choices', { body: draft }))).items,
  });
}

function useSave(kind: ConnectorKind, connector: Connector | undefined, name: string, settings: Settings) {
  const queries = useQueryClient();
  const [id] = useState(newId);
  return useMutation({
    mutationFn: () => {
      if (connector === undefined) {
        return asked(client.POST('/api/v1/connectors', { body: { id, kind: kind.kind, name, settings } }));
      }
      const at = { params: { path: { id: connector.id } } };
      const body = { name, settings: patch(kind, connector, settings) };
      return asked(client.PATCH('/api/v1/connectors/{id}', { ...at, body }));
    },
    onSuccess: (saved) => {
      queries.setQueryData(['connector', saved.id], saved);
      void queries.invalidateQueries({ queryKey: ['connectors'] });
    },
  });
}

function asEntered(kind: ConnectorKind, connector: Connector | undefined): Entered {
  const stored = (connector?.settings ?? {}) as Settings;
  return Object.fromEntries(
    kind.fields.map(({ name, input, default: usual }) => {
      const value = stored[name];
      if (input === 'flag') return [name, typeof value === 'boolean' ? value : usual === 'true'];
      return [name, value === undefined || value === null ? '' : String(value)];
    }),
  );
}

function asSettings(kind: ConnectorKind, entered: Entered): Settings {
  const given = kind.fields.filter(({ name, input, default: usual }) => {
    const value = entered[name];
    return input === 'flag' ? value !== (usual === 'true') : value !== '' && value !== undefined;
  });
  return Object.fromEntries(
    given.map(({ name, input }) => {
      const value = entered[name];
      return [name, input === 'number' && Number.isFinite(Number(value)) ? Number(value) : value];
    }),
  );
}

/** As a merge-patch: what was stored and is left out now is removed, but for secrets, which are kept. */
function patch(kind: ConnectorKind, connector: Connector, settings: Settings): Settings {
  const stored = Object.keys((connector.settings ?? {}) as Settings);
  const secret = new Set(kind.fields.filter(({ input }) => input === 'secret').map(({ name }) => name));
  const removed = stored.filter((name) => !(name in settings) && !secret.has(name));
  return { ...Object.fromEntries(removed.map((name) => [name, null])), ...settings };
}
