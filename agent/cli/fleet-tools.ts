/** What the commands of a fleet's operator do with a broker and a collector's database, and their common flags. */
import type { ParseArgsOptionsConfig } from 'node:util';
import type { ArchiveReader } from '../archive.ts';
import { AgentError } from '../errors.ts';
import { CliError, EXIT, type Io } from './io.ts';

/** How an operator reaches the broker. Files are paths. */
export interface BrokerChoice {
  readonly url: string;
  readonly root: string;
  readonly user: string | undefined;
  readonly passwordFile: string | undefined;
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** An answer of a device to a command: its parts, put together. */
export interface CommandAnswer {
  readonly state: string;
  readonly reason: string | null;
  readonly detail: string | null;
  /** Nothing comes after it. */
  readonly isFinal: boolean;
}

/** All reject with an AgentError. */
export interface FleetTools {
  /** Collects until a signal asks for the end. */
  collect(choice: BrokerChoice, database: string, tell: (line: string) => void): Promise<void>;
  openArchive(database: string): Promise<ArchiveReader>;
  /** What the broker keeps for a device; null where it keeps nothing. */
  twin(choice: BrokerChoice, device: string, name: 'desired' | 'reported'): Promise<Uint8Array | null>;
  /** Publishes an envelope to be kept, as it is. Throws for what is no signed document of this kind. */
  setDesired(choice: BrokerChoice, device: string, envelope: Uint8Array): Promise<void>;
  /**
   * Publishes a command and calls for each answer, until the last one or `waitMs` are over. Key sets and enrolments go the
   * same way, and no device answers them: then it resolves with false at once.
   */
  command(
    choice: BrokerChoice,
    device: string,
    envelope: Uint8Array,
    waitMs: number,
    onAnswer: (answer: CommandAnswer) => void,
  ): Promise<boolean>;
}

export const BROKER_FLAGS = {
  url: { type: 'string' },
  root: { type: 'string' },
  user: { type: 'string' },
  'password-file': { type: 'string' },
  ca: { type: 'string' },
  cert: { type: 'string' },
  'client-key': { type: 'string' },
} as const satisfies ParseArgsOptionsConfig;

export const BROKER_FLAGS_HELP = `  --url URL             mqtt://HOST or mqtts://HOST (EXPERTD_FLEET_URL)
  --root NAME           first level of all topics; default: expertd
  --user NAME           user at the broker
  --password-file FILE  file that holds the password of that user
  --ca FILE             PEM file of who signs the broker
  --cert FILE, --client-key FILE
                        PEM files of the certificate of this client`;

export const DATABASE_FLAG = { db: { type: 'string' } } as const satisfies ParseArgsOptionsConfig;
export const DATABASE_FLAG_HELP = '  --db FILE             database of the collector; default: fleet.db';

type BrokerFlags = Readonly<Partial<Record<keyof typeof BROKER_FLAGS, string>>>;

/** Throws a CliError `usage` where no broker is named. */
export function brokerOf(flags: BrokerFlags, env: Io['env']): BrokerChoice {
  const url = flags.url || env['EXPERTD_FLEET_URL'];
  if (!url)
    throw new CliError(EXIT.usage, 'at which broker?', 'Give --url mqtt://HOST, or set EXPERTD_FLEET_URL.');
  return {
    url,
    root: flags.root ?? 'expertd',
    user: flags.user,
    passwordFile: flags['password-file'],
    ca: flags.ca,
    cert: flags.cert,
    key: flags['client-key'],
  };
}

export function databaseOf(flags: { readonly db?: string | undefined }): string {
  return flags.db ?? 'fleet.db';
}

/** What a tool rejects with, as a command ends. */
export async function orFailed<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof AgentError) throw new CliError(EXIT.failed, error.message, error.hint);
    throw error;
  }
}
