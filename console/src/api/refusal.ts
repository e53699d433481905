// An answer that is not what was asked for: the server's problem, or no answer at all.
import { words } from '../words';
import type { Problem } from './wire';

/** Why a request was refused. `code` is the server's stable code, or `offline` when there was no answer. */
export class Refusal extends Error {
  readonly code: Problem['code'] | 'offline';
  readonly status: number;
  readonly problem: Partial<Problem>;

  constructor(problem: Partial<Problem>, status: number) {
    super(problem.detail ?? words.frame.noAnswer);
    this.code = problem.code ?? 'offline';
    this.status = status;
    this.problem = problem;
  }

  /** What is wrong with the field that `pointer` names (a JSON pointer into the request), if anything is. */
  field(pointer: string): string | undefined {
    return this.problem.errors?.find((error) => error.pointer === pointer)?.detail;
  }

  /** The same, with all that stands below that field: an item of a list, a field of a group. */
  fieldUnder(pointer: string): string | undefined {
    const under = (at: string) => at === pointer || at.startsWith(`${pointer}/`);
    return this.problem.errors?.find((error) => under(error.pointer))?.detail;
  }
}

/** Any error as a refusal; what is none of ours is told as it is. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  return new Refusal({ detail: error instanceof Error ? error.message : String(error) }, 0);
}
