/** The one error of expertd: a code for programs, a sentence for people, a hint for whoever can mend it. */
import type { Failure } from './types.ts';

export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: string;
  readonly hint: string | null;
  readonly retryable: boolean;

  constructor(
    code: string,
    message: string,
    options: { hint?: string; retryable?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? null;
    this.retryable = options.retryable ?? false;
  }

  toFailure(): Failure {
    return { code: this.code, message: this.message, hint: this.hint, retryable: this.retryable };
  }

  static fromFailure(failure: Failure): AgentError {
    const { code, message, hint, retryable } = failure;
    return new AgentError(code, message, { ...(hint === null ? {} : { hint }), retryable });
  }
}

/** Any thrown thing as a Failure; what is not an AgentError is a bug or the system, and says so by `internal`. */
export function toFailure(error: unknown): Failure {
  if (error instanceof AgentError) return error.toFailure();
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'internal', message, hint: null, retryable: false };
}

/** What the log may hold of a thrown thing: its kind and where it was thrown. Its message may quote what was asked. */
export function whereOf(error: unknown): { readonly name: string; readonly frames: readonly string[] } {
  if (!(error instanceof Error)) return { name: typeof error, frames: [] };
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return { name: error.name, frames: frames.slice(0, 10).map((line) => line.trim()) };
}
