// What can be read, by name. Pages ask here and nowhere else, so that one event refreshes all that show the same thing.
//
// Keys: [noun, …]. `api/events.ts` knows which nouns a change touches.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { asked, client, keepCsrf } from './client';
import type { LayerKind, LayerSort, VersionState } from './wire';

const PAGE = 200;
const WHOLE = 1000;

interface Page<T> {
  items: T[];
  next_page_token?: string | null;
}

/** All pages of a list, one after the other. For lists that pages filter and sort as a whole. */
async function whole<T>(page: (token?: string) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let token: string | undefined;
  do {
    const next = await page(token);
    items.push(...next.items);
    token = next.next_page_token ?? undefined;
  } while (token !== undefined);
  return items;
}

const byId = (id: string) => ({ params: { path: { id } } });

/** Who is signed in, and whether this server was set up at all. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async () => {
    const session = await asked(client.GET('/api/v1/session'));
    keepCsrf(session.csrf);
    return session;
  },
  staleTime: 60_000,
});

export const doctorQuery = queryOptions({
  queryKey: ['doctor'],
  queryFn: () => asked(client.GET('/api/v1/doctor')),
  staleTime: 30_000,
});

/** Which layers, in which order: the server's own words (`GET /layers`). */
export interface LayerFilter {
  kind?: LayerKind;
  text?: string;
  state?: VersionState;
  sort?: LayerSort;
  descending?: boolean;
}

/** Layers, page by page. While others are asked for, those before stay. */
export const layersQuery = (filter: LayerFilter) =>
  infiniteQueryOptions({
    queryKey: ['layers', filter],
    queryFn: ({ pageParam, signal }) => {
      const query = { ...filter, limit: PAGE, page_token: pageParam };
      return asked(client.GET('/api/v1/layers', { params: { query }, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    placeholderData: keepPreviousData,
  });

/** The first few layers of such a list. */
export const fewLayersQuery = (filter: LayerFilter, limit: number) =>
  queryOptions({
    queryKey: ['layers', filter, limit],
    queryFn: async ({ signal }) =>
      (await asked(client.GET('/api/v1/layers', { params: { query: { ...filter, limit } }, signal }))).items,
    placeholderData: keepPreviousData,
  });

/** All layers of a kind, by name: to choose from. */
export const allLayersQuery = (kind: LayerKind) =>
  queryOptions({
    queryKey: ['layers', kind, 'all'],
    queryFn: () =>
      whole((page_token) =>
        asked(client.GET('/api/v1/layers', { params: { query: { kind, sort: 'name', limit: WHOLE, page_token } } })),
      ),
  });

export const layerQuery = (id: string) =>
  queryOptions({
    queryKey: ['layer', id],
    queryFn: () => asked(client.GET('/api/v1/layers/{id}', byId(id))),
  });

/** All versions of a layer, oldest first. */
export const versionsQuery = (id: string) =>
  queryOptions({
    queryKey: ['versions', id],
    queryFn: () =>
      whole((page_token) =>
        asked(
          client.GET('/api/v1/layers/{id}/versions', {
            params: { path: { id }, query: { limit: WHOLE, page_token } },
          }),
        ),
      ),
  });

export const versionQuery = (id: string) =>
  queryOptions({
    queryKey: ['version', id],
    queryFn: () => asked(client.GET('/api/v1/versions/{id}', byId(id))),
  });

/** Image templates, page by page: those with a text in their name or description. */
export const templatesQuery = (text: string | undefined) =>
  infiniteQueryOptions({
    queryKey: ['templates', text],
    queryFn: ({ pageParam, signal }) => {
      const query = { text, limit: PAGE, page_token: pageParam };
      return asked(client.GET('/api/v1/templates', { params: { query }, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    placeholderData: keepPreviousData,
  });

export const templateQuery = (id: string) =>
  queryOptions({
    queryKey: ['template', id],
    queryFn: () => asked(client.GET('/api/v1/templates/{id}', byId(id))),
  });

/** What publishing a template would come to; its paths page by page, those with a text in them. */
export const planQuery = (id: string, search: string | undefined) =>
  infiniteQueryOptions({
    queryKey: ['plan', id, search],
    queryFn: ({ pageParam, signal }) => {
      const query = { search, limit: PAGE, page_token: pageParam };
      return asked(client.GET('/api/v1/templates/{id}/plan', { params: { path: { id }, query }, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (plan) => plan.paths.next_page_token ?? undefined,
    placeholderData: keepPreviousData,
  });

/** Which layered images: the server's own words (`GET /images`). */
export interface ImageFilter {
  text?: string;
  template_id?: string;
}

/** Layered images, newest first, page by page. */
export const imagesQuery = (filter: ImageFilter) =>
  infiniteQueryOptions({
    queryKey: ['images', filter],
    queryFn: ({ pageParam, signal }) => {
      const query = { ...filter, limit: PAGE, page_token: pageParam };
      return asked(client.GET('/api/v1/images', { params: { query }, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    placeholderData: keepPreviousData,
  });

export const machinesQuery = queryOptions({
  queryKey: ['machines'],
  queryFn: async () => (await asked(client.GET('/api/v1/machines'))).items,
  // A guest that powers itself off tells nobody.
  refetchInterval: 10_000,
});

export const machineQuery = (id: string) =>
  queryOptions({
    queryKey: ['machine', id],
    queryFn: () => asked(client.GET('/api/v1/machines/{id}', byId(id))),
    refetchInterval: 4_000,
  });

/** What Shutdown For Finalize found last in a machine that runs. */
export const liveCheckQuery = (id: string) =>
  queryOptions({
    queryKey: ['live-check', id],
    queryFn: () => asked(client.GET('/api/v1/machines/{id}/check', byId(id))),
    refetchInterval: 10_000,
  });

export const filesQuery = (id: string) =>
  queryOptions({
    queryKey: ['files', id],
    queryFn: async () => (await asked(client.GET('/api/v1/machines/{id}/files', byId(id)))).items,
  });

/** The last MiB of what the machine wrote to its serial console. */
export const serialQuery = (id: string, live: boolean) =>
  queryOptions({
    queryKey: ['serial', id],
    queryFn: () => asked(client.GET('/api/v1/machines/{id}/serial', { ...byId(id), parseAs: 'text' })),
    refetchInterval: live ? 2_000 : false,
  });

export const connectorsQuery = queryOptions({
  queryKey: ['connectors'],
  queryFn: async () => (await asked(client.GET('/api/v1/connectors'))).items,
});

export const connectorQuery = (id: string) =>
  queryOptions({
    queryKey: ['connector', id],
    queryFn: () => asked(client.GET('/api/v1/connectors/{id}', byId(id))),
  });

export const connectorKindsQuery = queryOptions({
  queryKey: ['connector-kinds'],
  queryFn: async () => (await asked(client.GET('/api/v1/connector-kinds'))).items,
  staleTime: Infinity,
});

/** Which tasks: by state (a state, `open` or `ended`), by layer. */
export interface TaskFilter {
  state?: string;
  layer_id?: string;
}

/** Tasks, newest first, page by page. */
export const tasksQuery = (filter: TaskFilter) =>
  infiniteQueryOptions({
    queryKey: ['tasks', filter],
    queryFn: ({ pageParam }) =>
      asked(
        client.GET('/api/v1/tasks', { params: { query: { ...filter, limit: PAGE, page_token: pageParam } } }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
  });

export const taskQuery = (id: string) =>
  queryOptions({
    queryKey: ['task', id],
    queryFn: () => asked(client.GET('/api/v1/tasks/{id}', byId(id))),
  });

/** A task's log, entry by entry. */
export const taskLogQuery = (id: string) =>
  queryOptions({
    queryKey: ['task-log', id],
    queryFn: () =>
      whole((page_token) =>
        asked(
          client.GET('/api/v1/tasks/{id}/log', { params: { path: { id }, query: { limit: WHOLE, page_token } } }),
        ),
      ),
  });

interface Output {
  text: string;
  next: number;
  is_complete: boolean;
}

/** What a task's script printed, all of it: what is new is read behind what is known. */
export const taskOutputQuery = (id: string) =>
  queryOptions({
    queryKey: ['task-output', id],
    queryFn: async ({ client: known }): Promise<Output> => {
      const nothing: Output = { text: '', next: 0, is_complete: false };
      let { text, next, is_complete } = known.getQueryData<Output>(['task-output', id]) ?? nothing;
      for (;;) {
        const at = { params: { path: { id }, query: { from: next } } };
        const more = await asked(client.GET('/api/v1/tasks/{id}/output', at));
        // The output begins anew when the server does: it is shorter then, and answered from its beginning.
        text = more.next < next ? more.text : text + more.text;
        is_complete = more.is_complete;
        if (more.next === next) return { text, next, is_complete };
        next = more.next;
      }
    },
    refetchInterval: ({ state }) => (state.data?.is_complete === false ? 2_000 : false),
  });

/** All schedules, oldest first. */
export const schedulesQuery = queryOptions({
  queryKey: ['schedules'],
  queryFn: () =>
    whole((page_token) => asked(client.GET('/api/v1/schedules', { params: { query: { limit: WHOLE, page_token } } }))),
});

/** Which versions of a layer would go, if so many of the newest are kept. */
export const pruneQuery = (id: string, keep: number) =>
  queryOptions({
    queryKey: ['versions', id, 'prune', keep],
    queryFn: () => asked(client.POST('/api/v1/layers/{id}/prune', { ...byId(id), body: { keep } })),
  });

/** Who did what, newest first, page by page. */
export const auditQuery = infiniteQueryOptions({
  queryKey: ['audit'],
  queryFn: ({ pageParam }) =>
    asked(client.GET('/api/v1/audit', { params: { query: { limit: PAGE, page_token: pageParam } } })),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page) => page.next_page_token ?? undefined,
});

export const repositoryQuery = queryOptions({
  queryKey: ['repository'],
  queryFn: () => asked(client.GET('/api/v1/repository')),
  staleTime: 30_000,
});

export const usersQuery = queryOptions({
  queryKey: ['users'],
  queryFn: async () => (await asked(client.GET('/api/v1/users'))).items,
});

export const tokensQuery = queryOptions({
  queryKey: ['tokens'],
  queryFn: async () => (await asked(client.GET('/api/v1/tokens'))).items,
});

export const uploadsQuery = queryOptions({
  queryKey: ['uploads'],
  queryFn: async () => (await asked(client.GET('/api/v1/uploads'))).items,
});

export const certificateQuery = queryOptions({
  queryKey: ['certificate'],
  queryFn: () => asked(client.GET('/api/v1/certificate')),
});
