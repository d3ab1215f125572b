/**
 * Where else a command is answered: at the response topic that came with it (MQTT 5, section 4.10), with the correlation
 * data that came along.
 *
 * Nobody signs these two, so little is given on them. They count only once the command's own signature was accepted, and
 * the first that come with a command stay: whoever repeats it later does not lead its answers elsewhere. They are not on
 * the disk. What a crash forgets was a courtesy: every result goes to `R/v1/D/res` in any case.
 */
import { toFailure } from '../../errors.ts';
import type { Received } from '../link.ts';
import { parseTopic, topicsOf } from '../topics.ts';
import { isLastWord, type Said } from './results.ts';

export interface ReplyTo {
  readonly topic: string;
  readonly correlationData: Uint8Array | null;
}

/** As long, and of as many levels, as AWS IoT Core takes them: a broker that is asked for more may end the connection. */
const MAX_TOPIC_BYTES = 256;
const MAX_SLASHES = 7;
/** It goes back with each part of an answer. */
const MAX_CORRELATION_BYTES = 1_024;
/** Commands whose answers are still to come. */
const MAX_KEPT = 256;
/** A letter, mark, number, punctuation, symbol or space: no control character, nothing that Unicode has not assigned. */
const PRINTABLE = /^\P{C}+$/u;

/** Why no answer goes there; null where it may. `root` and `device` name the topics of this device. */
export function whyNot({ topic, correlationData }: ReplyTo, root: string, device: string): string | null {
  if (Buffer.byteLength(topic) > MAX_TOPIC_BYTES || topic.split('/').length - 1 > MAX_SLASHES)
    return `it has more than ${MAX_TOPIC_BYTES} bytes or ${MAX_SLASHES} slashes`;
  if (!PRINTABLE.test(topic) || /[+#]/.test(topic)) return 'it is empty, or holds what no topic may';
  if (topic.startsWith('$')) return 'it begins with "$": it is one of the broker itself';
  if (parseTopic(root, topic) !== null && topic !== topicsOf(root, device).res)
    return 'it has another use in the fleet';
  if ((correlationData?.byteLength ?? 0) > MAX_CORRELATION_BYTES)
    return `its correlation data has more than ${MAX_CORRELATION_BYTES} bytes`;
  return null;
}

export interface RepliesOptions {
  readonly root: string;
  /** The id of this device. */
  readonly device: () => string;
  /** Resolves when the broker has it. */
  readonly publish: (to: ReplyTo, body: string) => Promise<void>;
  /** A command is answered on `res` alone. */
  readonly onUnanswered: (why: string) => void;
}

export class Replies {
  readonly #options: RepliesOptions;
  /** By the id of the command, oldest first. */
  readonly #kept = new Map<string, ReplyTo>();

  constructor(options: RepliesOptions) {
    this.#options = options;
  }

  /** Only for a command whose signature was accepted. */
  remember(id: string, { responseTopic, correlationData }: Received): void {
    if (responseTopic === null || this.#kept.has(id)) return;
    const { root, device, onUnanswered } = this.#options;
    const why = whyNot({ topic: responseTopic, correlationData }, root, device());
    if (why !== null) return onUnanswered(`its response topic is not used: ${why}`);
    // A copy: what came is a view of everything that was read with it.
    const data = correlationData === null ? null : Uint8Array.from(correlationData);
    this.#kept.set(id, { topic: responseTopic, correlationData: data });
    if (this.#kept.size > MAX_KEPT) this.#kept.delete([...this.#kept.keys()][0] ?? '');
  }

  /**
   * Says what `res` has. Tried once: a broker may end the connection of who publishes what it may not, and would do so
   * again and again. Never rejects.
   */
  async say({ id, state }: Pick<Said, 'id' | 'state'>, bodies: readonly string[]): Promise<void> {
    // Who was turned down had no say in where.
    const to = state === 'REJECTED' ? undefined : this.#kept.get(id);
    if (to === undefined) return;
    if (isLastWord(state)) this.#kept.delete(id);
    try {
      for (const body of bodies) await this.#options.publish(to, body);
    } catch (error) {
      this.#kept.delete(id);
      this.#options.onUnanswered(toFailure(error).message);
    }
  }
}
