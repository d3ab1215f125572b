/** Which MQTT to speak. Brokers tell that they do not know a version in three ways; all of them were met. */

/** The protocol level of CONNECT: 4 is 3.1.1. */
export type Version = 4 | 5;
export type Protocol = 'auto' | '3.1.1' | '5';

/** How an attempt ended before the broker accepted it. */
export interface Ending {
  /** Of CONNACK; null where none came. */
  readonly returnCode: number | null;
  /** The connection stood, and was closed without a word. */
  readonly closedBare: boolean;
}

/** "Unacceptable protocol version" in CONNACK of 3.1.1, and "unsupported protocol version" in that of 5. */
const REFUSED_VERSION = new Set([1, 132]);

export class Negotiation {
  readonly #fixed: Version | null;
  #next: Version;
  /** The broker has accepted `#next` or named the other one unfit. */
  #known: boolean;

  constructor(protocol: Protocol) {
    this.#fixed = protocol === 'auto' ? null : protocol === '5' ? 5 : 4;
    this.#next = this.#fixed ?? 5;
    this.#known = this.#fixed !== null;
  }

  get version(): Version {
    return this.#next;
  }

  accepted(): void {
    this.#known = true;
  }

  /**
   * Whether the other version should be tried at once.
   * 1. The broker names the version: the other one, for good (aedes, NATS; RabbitMQ only closes).
   * 2. A bare close while nothing is known: the other one, this once; it may as well be the network.
   */
  refused({ returnCode, closedBare }: Ending): boolean {
    if (this.#fixed !== null) return false;
    const named = returnCode !== null && REFUSED_VERSION.has(returnCode);
    if (!named && (this.#known || !closedBare)) return false;
    const was = this.#next;
    this.#next = was === 5 ? 4 : 5;
    this.#known = named && was === 5;
    return was === 5;
  }
}

export function saysVersion(returnCode: number): boolean {
  return REFUSED_VERSION.has(returnCode);
}
