/** The one place that loads mqtt.js, which agents that are in no fleet never do, and says how it is to behave. */
import type { IClientOptions, MqttClient } from 'mqtt';
import type { Clock } from '../../ports.ts';
import type { Credentials } from './credentials.ts';
import type { GuardedStream } from './guarded-stream.ts';
import type { Version } from './negotiation.ts';

export type ClientMaker = new (stream: () => GuardedStream, options: IClientOptions) => MqttClient;

export interface Letter {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
}

/** What CONNECT says, and how the client keeps the connection. */
export interface ClientSettings {
  readonly version: Version;
  readonly clientId: string;
  readonly credentials: Credentials;
  readonly keepaliveSeconds: number;
  /** How long the broker keeps the session of a client that is away: 0 is not at all. 3.1.1 only knows yes or no. */
  readonly sessionExpirySeconds: number;
  /** Published by the broker when this connection is lost; null for none. */
  readonly will: Letter | null;
  readonly maxPacketBytes: number;
  readonly clock: Clock;
}

/** Those that MQTT 5 lets a broker send to us before it must wait for a PUBACK. */
const RECEIVE_MAXIMUM = 32;
/** Deadlines are ours, on our clock: that of mqtt.js never comes. */
const NEVER_MS = 2_147_483_647;

/** Only its client: its index would bring web sockets and proxies along. */
export async function loadClient(): Promise<ClientMaker> {
  const { default: module } = await import('mqtt/lib/client');
  return module.default as unknown as ClientMaker;
}

/** No queue, no store, no reconnection of its own; see connection.ts. */
export function clientOptions(settings: ClientSettings): IClientOptions {
  const { version, clientId, credentials, keepaliveSeconds, sessionExpirySeconds, will, clock } = settings;
  return {
    protocolVersion: version,
    clientId,
    clean: sessionExpirySeconds === 0,
    keepalive: keepaliveSeconds,
    ...(credentials.user === null ? {} : { username: credentials.user }),
    ...(credentials.password === null ? {} : { password: credentials.password }),
    ...(will === null
      ? {}
      : { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: will.retain } }),
    ...(version === 5
      ? {
          properties: {
            sessionExpiryInterval: sessionExpirySeconds,
            maximumPacketSize: settings.maxPacketBytes,
            receiveMaximum: RECEIVE_MAXIMUM,
          },
        }
      : {}),
    reconnectPeriod: 0,
    connectTimeout: NEVER_MS,
    resubscribe: false,
    queueQoSZero: false,
    // Else mqtt-packet makes 65,536 small buffers.
    writeCache: false,
    timerVariant: intervalsOn(clock),
  };
}

/** `setInterval` and `clearInterval` on the agent's clock, as mqtt.js takes them for its keepalive. */
function intervalsOn(clock: Clock): {
  set: (call: () => void, everyMs: number) => number;
  clear: (id: number) => void;
} {
  const cancels = new Map<number, () => void>();
  let last = 0;
  const arm = (id: number, call: () => void, everyMs: number): void => {
    const ring = (): void => {
      arm(id, call, everyMs);
      call();
    };
    cancels.set(id, clock.at(clock.nowMs() + everyMs, ring));
  };
  return {
    set(call, everyMs) {
      last += 1;
      arm(last, call, everyMs);
      return last;
    },
    clear(id) {
      cancels.get(id)?.();
      cancels.delete(id);
    },
  };
}
