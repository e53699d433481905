// Uploads: a file goes to the server in pieces, and goes on where it stopped.
//
//   begin ──▶ sending ⇄ waiting (no answer: tried again)  ──▶ done
//                └──▶ paused ──▶ sending                  └──▶ failed (the server refused)
//
// An upload lives outside of pages: it goes on while a person turns the pages of a wizard. After a reload the browser has
// lost the file, not the server what it has: choosing the same file again goes on from there.
import { useSyncExternalStore } from 'react';
import { asked, client, proof, refused } from './client';
import { asRefusal, Refusal } from './refusal';
import type { Upload } from './wire';
import { newId } from './uuid';

const PIECE = 8 * 1024 * 1024;
const FIRST_TRY_MS = 1_000;
const LAST_TRY_MS = 20_000;
const RATE_WINDOW_MS = 5_000;

export interface Sending {
  id: string;
  name: string;
  size: number;
  received: number;
  state: 'sending' | 'waiting' | 'paused' | 'done' | 'failed';
  /** Bytes a second over the last seconds. */
  rate?: number;
  refusal?: Refusal;
}

interface Job {
  view: Sending;
  file: File;
  stopped: boolean;
  seen: { at: number; received: number }[];
}

const jobs = new Map<string, Job>();
const listeners = new Set<() => void>();

function show(job: Job, change: Partial<Sending>) {
  job.view = { ...job.view, ...change };
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** How the upload with this id goes; nothing when this browser does not send it. */
export function useSending(id: string | undefined): Sending | undefined {
  return useSyncExternalStore(subscribe, () => (id === undefined ? undefined : jobs.get(id)?.view));
}

/** Starts to send a file; `known` is what the server has of it already. Answers the upload's id. */
export async function send(file: File, known?: Upload): Promise<string> {
  const upload =
    known ??
    (await asked(
      client.POST('/api/v1/uploads', { body: { id: newId(), name: file.name, size: file.size } }),
    ));
  const { id, name, size, received } = upload;
  const job: Job = { file, stopped: false, seen: [], view: { id, name, size, received, state: 'sending' } };
  jobs.set(id, job);
  void run(job);
  return id;
}

export function pause(id: string) {
  const job = jobs.get(id);
  if (job === undefined || job.view.state === 'done') return;
  job.stopped = true;
  show(job, { state: 'paused', rate: undefined });
}

export function resume(id: string) {
  const job = jobs.get(id);
  if (job === undefined || job.view.state === 'done' || job.view.state === 'sending') return;
  job.stopped = false;
  show(job, { state: 'sending', refusal: undefined });
  void run(job);
}

/** Stops, and has the server throw away what it has. */
export async function discard(id: string): Promise<void> {
  const job = jobs.get(id);
  if (job !== undefined) job.stopped = true;
  jobs.delete(id);
  for (const listener of listeners) listener();
  await asked(client.DELETE('/api/v1/uploads/{id}', { params: { path: { id } } }));
}

async function run(job: Job) {
  let wait = FIRST_TRY_MS;
  while (!job.stopped && job.view.received < job.view.size) {
    try {
      const upload = await piece(job);
      wait = FIRST_TRY_MS;
      if (job.stopped) return;
      show(job, { state: 'sending', received: upload.received, rate: rate(job, upload.received) });
    } catch (error) {
      const refusal = asRefusal(error);
      if (job.stopped) return;
      if (!mayWorkLater(refusal)) return show(job, { state: 'failed', refusal, rate: undefined });
      show(job, { state: 'waiting', refusal, rate: undefined });
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(wait * 2, LAST_TRY_MS);
      await catchUp(job);
    }
  }
  if (!job.stopped) show(job, { state: 'done', rate: undefined, refusal: undefined });
}

/** Sends the next piece. The server answers with what it has now. */
async function piece(job: Job): Promise<Upload> {
  const { id, received } = job.view;
  const response = await fetch(`/api/v1/uploads/${id}`, {
    method: 'PATCH',
    headers: { ...proof('PATCH'), 'Content-Type': 'application/octet-stream', 'Upload-Offset': String(received) },
    body: job.file.slice(received, received + PIECE),
  }).catch(() => {
    throw new Refusal({}, 0);
  });
  if (response.ok) return (await response.json()) as Upload;
  throw refused(await response.json().catch(() => undefined), response);
}

/** Takes the offset from the server: a piece may have arrived though its answer did not. */
async function catchUp(job: Job) {
  const answer = client.GET('/api/v1/uploads/{id}', { params: { path: { id: job.view.id } } });
  const upload = await asked(answer).catch(() => undefined);
  if (upload !== undefined) show(job, { received: upload.received });
}

function mayWorkLater(refusal: Refusal) {
  return refusal.code === 'offline' || refusal.status === 409 || refusal.status === 429 || refusal.status >= 500;
}

function rate(job: Job, received: number): number | undefined {
  const at = performance.now();
  job.seen.push({ at, received });
  while (job.seen.length > 2 && at - job.seen[0]!.at > RATE_WINDOW_MS) job.seen.shift();
  const first = job.seen[0]!;
  return at > first.at ? ((received - first.received) * 1000) / (at - first.at) : undefined;
}
