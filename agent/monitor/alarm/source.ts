/** What tells of a shortage by events of an open file. */
import type { Watched } from '../../linux/poller.ts';

export interface AlarmFile extends Watched {
  /** For people. */
  readonly name: string;
  /** Takes what came, so that it is not told again; false where nothing will come any more. */
  take(came: number): boolean;
  close(): void;
}

/** What is logged about alarms. Fits a pino logger. */
export interface AlarmLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
}
