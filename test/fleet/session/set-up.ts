/** A session on a clock that is told to go, with a broker that is a script. */
import { afterEach } from 'node:test';
import { parseBroker } from '../../../agent/fleet/broker.ts';
import type { Credentials } from '../../../agent/fleet/session/credentials.ts';
import { Session, type SessionLog, type SessionOptions } from '../../../agent/fleet/session/session.ts';
import { FakeClock, settled } from './fake-clock.ts';
import { Wires } from './wires.ts';

export const STATUS = 'expertd/v1/edge-1/status';

export const ANONYMOUS: Credentials = {
  user: null,
  password: null,
  tls: { ca: null, cert: null, key: null, serverName: null, alpn: [] },
};

export interface LogLine {
  readonly level: 'info' | 'warn';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export class LogKept implements SessionLog {
  readonly lines: LogLine[] = [];
  readonly #onLine: () => void;

  constructor(onLine: () => void = () => undefined) {
    this.#onLine = onLine;
  }

  info(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.lines.push({ level: 'info', fields, message });
    this.#onLine();
  }

  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.lines.push({ level: 'warn', fields, message });
    this.#onLine();
  }

  get warnings(): string[] {
    return this.lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
  }
}

export function greetingOf(topic: string): NonNullable<SessionOptions['greeting']> {
  const letter = (online: boolean, bd: number) => ({
    topic,
    payload: JSON.stringify({ online, bd }),
    retain: true,
  });
  return { will: (bd) => letter(false, bd), births: (bd) => [letter(true, bd)] };
}

const opened: { readonly session: Session; readonly wires: Wires }[] = [];

// mqtt.js holds a timer of real time while nobody answers its CONNECT.
afterEach(async () => {
  for (const { session, wires } of opened.splice(0)) {
    const stopped = session.stop();
    for (const wire of wires.all) await wire.close();
    await stopped;
  }
});

/** A session that has not started. Its windows are always waited out whole unless `random` says otherwise. */
export function setUp(options: Partial<SessionOptions> = {}) {
  const clock = new FakeClock();
  const wires = new Wires();
  const log = new LogKept();
  const session = new Session({
    broker: parseBroker('mqtt://broker.test'),
    credentials: () => ANONYMOUS,
    clientId: 'edge-1',
    persistent: true,
    protocol: '3.1.1',
    keepaliveSeconds: 60,
    firstBd: 100,
    greeting: greetingOf(STATUS),
    topics: ['expertd/v1/edge-1/cmd'],
    dial: wires.dial,
    clock,
    random: () => 1 - Number.EPSILON,
    log,
    ...options,
  });
  opened.push({ session, wires });
  const start = async (): Promise<void> => {
    session.start();
    // Loads mqtt.js the first time, which takes more than a turn.
    while (wires.all.length === 0 && session.health().state === 'connecting') await settled();
    await settled();
  };
  const startUp = async (accept: Parameters<Wires['last']['accept']>[0] = {}): Promise<void> => {
    await start();
    await wires.last.accept(accept);
  };
  return { clock, wires, log, session, start, startUp };
}
