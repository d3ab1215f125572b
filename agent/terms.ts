/** The smallest words: what things are called by, and an error as a value. No code. */

export type ExpertId = string;
/** `fast-1`, `heavy-2`: one child process. A number is never used twice in the life of an agent. */
export type CellId = string;
export type RequestId = string;
export type LeaseId = number;

export type Lane = 'fast' | 'heavy';

/** An error as a value: it travels through IPC, the log and HTTP. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** What the user can do. */
  readonly hint: string | null;
  readonly retryable: boolean;
}
