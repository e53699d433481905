// The only door to the server: typed by openapi.json, signed by the session's cookie.
//
//   page ──▶ asked(client.GET(…)) ──▶ data
//                    └──▶ Refusal (a problem, or no answer); 401 also tells whoever listens that the session is over
import createClient, { type Middleware } from 'openapi-fetch';
import { Refusal } from './refusal';
import type { paths } from './schema';
import type { Problem } from './wire';

const SAFE = new Set(['GET', 'HEAD']);
let csrf: string | null = null;
let onSignedOut = () => {};

/** Keeps the value that proves a change was asked for by this page. It comes with every session. */
export function keepCsrf(value: string | null | undefined) {
  csrf = value ?? null;
}

/** Says who is to be told when the server does not know this browser any more. */
export function whenSignedOut(listener: () => void) {
  onSignedOut = listener;
}

/** The headers that a request of this method needs besides its own. */
export function proof(method: string): Record<string, string> {
  return !SAFE.has(method) && csrf !== null ? { 'X-Shale-CSRF': csrf } : {};
}

const signed: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(proof(request.method))) request.headers.set(name, value);
    return request;
  },
};

/** Requests by path and method, as openapi.json has them. */
export const client = createClient<paths>({ baseUrl: window.location.origin });
client.use(signed);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer; throws a [`Refusal`] for everything else. */
export async function asked<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer.catch((): never => {
    throw new Refusal({}, 0);
  });
  if (response.ok) return data as T;
  throw refused(error, response);
}

/** The refusal in an answer that is not ok. A 401 ends the session here, except where signing in itself was refused. */
export function refused(body: unknown, response: Response): Refusal {
  const problem: Partial<Problem> = typeof body === 'object' && body !== null ? body : {};
  const signingIn = response.url.endsWith('/api/v1/session') || response.url.endsWith('/api/v1/setup');
  if (response.status === 401 && !signingIn) onSignedOut();
  if (problem.detail) return new Refusal(problem, response.status);
  return new Refusal({ detail: `${response.status} ${response.statusText}`.trim() }, response.status);
}
