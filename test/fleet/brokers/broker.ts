/** What the tests of the fleet need of a broker; all of them are real ones. */

export interface BrokerOptions {
  /** Where a file-backed broker keeps what it keeps: the caller's to remove. */
  readonly folder: string;
  /** Messages that it holds for a client that is away, where it can be told; then it drops. */
  readonly maxQueued?: number;
}

/** One that runs. Both users may do everything; nobody else may do anything. */
export interface TestBroker {
  readonly port: number;
  /** `mqtt://device:PASSWORD@127.0.0.1:PORT`. */
  readonly url: string;
  /** Kills it, or ends it so that it may write down what it has. */
  stop(how: 'killed' | 'ended'): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
}

export interface BrokerKind {
  readonly name: string;
  /** Why it cannot be tested here; null if it can. */
  readonly missing: string | null;
  /** It speaks MQTT 5. */
  readonly speaks5: boolean;
  /** Sessions and retained messages outlive its end. */
  readonly keeps: boolean;
  open(options: BrokerOptions): Promise<TestBroker>;
}

export const USER = 'device';
/** With what a URL must escape. */
export const PASSWORD = 'pass:w@rd';

export function urlOf(port: number, user = USER, password = PASSWORD): string {
  return `mqtt://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}`;
}

/** Why a broker cannot be tested, if one of its programs was not found. */
export function missingProgram(programs: Readonly<Record<string, string | null>>): string | null {
  const missing = Object.keys(programs).filter((name) => programs[name] === null);
  return missing.length === 0 ? null : `${missing.join(', ')} not installed (scripts/ci-services does it)`;
}
