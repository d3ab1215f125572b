/** What the operator of a fleet runs: the collector, and short visits to the broker. */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerChoice, FleetTools } from './cli/fleet-tools.ts';
import { systemClock } from './clock.ts';
import { AgentError } from './errors.ts';
import { nativeFile, runKind } from './files.ts';
import { parseBroker } from './fleet/broker.ts';
import { Answers } from './fleet/collector/answers.ts';
import { Collector, collectorTopics } from './fleet/collector/collector.ts';
import { checkCommand } from './fleet/documents/command.ts';
import { readDocument } from './fleet/documents/reading.ts';
import { readCredentials } from './fleet/session/credentials.ts';
import { dial } from './fleet/session/dial.ts';
import { Session, type SessionOptions } from './fleet/session/session.ts';
import { controlOf, topicsOf } from './fleet/topics.ts';
import { needType, PAYLOADS, readEnvelope } from './fleet/trust/dsse.ts';
import { Signals } from './signals.ts';
import { SqliteArchive } from './store/collector/archive.ts';
import { SqliteArchiveReader } from './store/collector/reader.ts';

/** A broker that a person waits for. */
const connectMs = 15_000;
/** Retained messages come right behind the subscription. */
const keptMs = 2_000;
const keepaliveSeconds = 60;
/** Devices wait up to half a minute before they come back, so that they do not come at once. One client need not. */
const haste = 1 / 16;

export const fleetTools: FleetTools = {
  async collect(choice, database, tell) {
    const signals = new Signals({
      source: process,
      nowMs: systemClock.nowMs,
      onImpatience: () => process.exit(1),
    });
    const status = controlOf(choice.root).status;
    const archive = new SqliteArchive({ path: resolve(database), nowMs: Date.now(), ...binding() });
    const session: Session = newSession(choice, {
      clientId: `expertd-collector-${choice.root.replaceAll('/', '-')}`,
      topics: collectorTopics(choice.root),
      greeting: {
        will: (bd) => ({ topic: status, payload: collector.will(bd), retain: true }),
        births: (bd) => [{ topic: status, payload: collector.birth(bd), retain: true }],
      },
      tell,
    });
    const collector = new Collector({
      root: choice.root,
      link: session,
      archive,
      clock: systemClock,
      report: ({ message, hint }, device) =>
        tell(`${device ?? 'collector'}: ${message}${hint === null ? '' : ` ${hint}`}`),
    });
    collector.start();
    session.start();
    tell(`collecting "${choice.root}" into ${database}`);
    await signals.end;
    collector.stop();
    await session.stop();
    archive.close();
  },

  async openArchive(database) {
    return new SqliteArchiveReader(resolve(database), Date.now(), binding().nativeBinding);
  },

  twin: (choice, device, name) => {
    const topic = topicsOf(choice.root, device)[name];
    return visit(choice, (session) => keptMessage(session, topic));
  },

  async setDesired(choice, device, envelope) {
    needType(readEnvelope(envelope), 'desired');
    const { desired } = topicsOf(choice.root, device);
    await visit(choice, (session) => session.publish(desired, envelope, { qos: 1, retain: true }));
  },

  async command(choice, device, envelope, waitMs, onAnswer) {
    const signed = readEnvelope(envelope);
    const { cmd, res } = topicsOf(choice.root, device);
    if (signed.payloadType === PAYLOADS.keys || signed.payloadType === PAYLOADS.enrolment) {
      await visit(choice, (session) => session.publish(cmd, envelope, { qos: 1 }));
      return false;
    }
    needType(signed, 'command');
    const answers = new Answers(readDocument(signed.body, checkCommand).id);
    await visit(choice, async (session) => {
      const { promise: answered, resolve: end } = Promise.withResolvers<void>();
      session.onMessage((topic, payload) => {
        const answer = topic === res ? answers.take(payload) : null;
        if (answer !== null) onAnswer(answer);
        if (answer?.isFinal === true) end();
        return undefined;
      });
      await session.subscribe([res]);
      await session.publish(cmd, envelope, { qos: 1 });
      if (waitMs > 0) await Promise.race([answered, after(waitMs)]);
    });
    return true;
  },
};

interface Wishes extends Pick<SessionOptions, 'clientId' | 'topics' | 'greeting'> {
  readonly tell: (line: string) => void;
}

function newSession(choice: BrokerChoice, { tell, ...rest }: Wishes): Session {
  const { user, passwordFile, ca, cert, key } = choice;
  const broker = parseBroker(choice.url);
  return new Session({
    broker,
    credentials: () => readCredentials(broker, { user, passwordFile, tls: { ca, cert, key, alpn: [] } }),
    persistent: false,
    protocol: 'auto',
    keepaliveSeconds,
    firstBd: 0,
    dial,
    clock: systemClock,
    random: () => Math.random() * haste,
    log: {
      info: (_fields, message) => tell(message),
      warn: (_fields, message) => tell(message),
    },
    ...rest,
  });
}

/** Connects, does something, leaves. Rejects with why it could not connect. */
async function visit<T>(choice: BrokerChoice, work: (session: Session) => Promise<T>): Promise<T> {
  const clientId = `expertd-cli-${randomBytes(5).toString('hex')}`;
  const session = newSession(choice, { clientId, topics: [], greeting: null, tell: () => undefined });
  const { promise: isUp, resolve: up } = Promise.withResolvers<boolean>();
  session.onUp(() => up(true));
  session.start();
  try {
    const reached = await Promise.race([isUp, after(connectMs).then(() => false)]);
    if (!reached) throw unreachable(session);
    return await work(session);
  } finally {
    await session.stop();
  }
}

/** What the broker keeps under a topic; null where nothing comes within a moment. */
async function keptMessage(session: Session, topic: string): Promise<Uint8Array | null> {
  const { promise, resolve: found } = Promise.withResolvers<Uint8Array | null>();
  session.onMessage((of, payload) => {
    if (of === topic) found(payload.byteLength === 0 ? null : payload);
    return undefined;
  });
  await session.subscribe([topic]);
  return Promise.race([promise, after(keptMs).then(() => null)]);
}

function unreachable(session: Session): AgentError {
  const { reason, broker } = session.health();
  return new AgentError('broker_unreachable', reason?.message ?? `${broker} did not answer in time.`, {
    hint: reason?.hint ?? 'Look whether the broker runs, and whether it lets this user in.',
  });
}

/** Does not keep the process alive. */
function after(ms: number): Promise<void> {
  return sleep(ms, undefined, { ref: false });
}

function binding(): { readonly nativeBinding?: string } {
  return runKind() === 'source' ? {} : { nativeBinding: nativeFile('better_sqlite3') };
}
