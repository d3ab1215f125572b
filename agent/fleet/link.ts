/**
 * What the rest of the fleet needs of a connection to a broker. There is no queue behind it: what is published while
 * the link is down is refused at once, and what is in flight when it is lost is rejected. Whoever publishes keeps the
 * message until its promise resolves, and sends it again after the next `onUp`.
 */

export interface PublishOptions {
  readonly qos: 0 | 1;
  readonly retain?: boolean;
  /** MQTT 5 only, left out on a 3.1.1 link: answers to whoever asked by these. */
  readonly correlationData?: Uint8Array;
}

/** What came with a message beside topic and payload. */
export interface Received {
  /** The broker kept it: it was there before this subscription. */
  readonly retain: boolean;
  /** The broker sent it before. At least once is all that QoS 1 promises. */
  readonly dup: boolean;
  readonly qos: 0 | 1 | 2;
  /** MQTT 5 only: where an answer is wanted, and what it must carry. */
  readonly responseTopic: string | null;
  readonly correlationData: Uint8Array | null;
}

/**
 * A QoS 1 message is acknowledged when every listener has settled; so a listener that persists before it resolves
 * loses nothing. A rejection acknowledges too (it would fail again), unless it is an AgentError that is `retryable`:
 * then the message stays unacknowledged and the broker sends it again in the next connection.
 */
export type MessageListener = (
  topic: string,
  payload: Uint8Array,
  received: Received,
) => Promise<void> | undefined;

/** Listeners are called in the order they were added; each `on...` returns what takes its listener away. */
export interface Link {
  /** Connected, and subscribed to everything that was asked for. */
  readonly isUp: boolean;
  /**
   * QoS 1 resolves at PUBACK (which says that the broker has it, no more), QoS 0 when it is written. Rejects with an
   * AgentError: `not_connected`, `link_lost` (it may have arrived), `too_large`, or `publish_refused` (by an MQTT 5
   * broker, which says why). At most `maxInFlight` wait for their PUBACK; later ones wait for their turn in order.
   */
  publish(topic: string, payload: string | Uint8Array, options: PublishOptions): Promise<void>;
  /** After each connection. `sessionPresent`: the broker still holds the session, with what came meanwhile. */
  onUp(listener: (sessionPresent: boolean) => void): () => void;
  /** After each loss of a link that was up, with its reason for people. */
  onDown(listener: (reason: string) => void): () => void;
  onMessage(listener: MessageListener): () => void;
}

/** For whoever learns only while it runs what it wants to hear, as a collector does. */
export interface Subscriptions {
  /**
   * Wants these topics (or filters) from now on, with QoS 1, in this connection and all later ones. Resolves when the
   * broker has granted them, or at once while the link is down. Rejects with `subscription_refused` or `link_lost`.
   */
  subscribe(topics: readonly string[]): Promise<void>;
  unsubscribe(topics: readonly string[]): Promise<void>;
}
