/**
 * Bounds what an inbound packet may cost. The parser behind it keeps a packet until it is whole, be it 256 MB, and an
 * MQTT 3.1.1 broker cannot be told a limit. This reads only lengths (MQTT 3.1.1, 2.2): a PUBLISH beyond the limit is
 * passed over byte by byte and reported, so that a large retained message does not end every connection anew.
 */
import { AgentError } from '../../errors.ts';

/** A PUBLISH that was passed over. */
export interface Skipped {
  readonly topic: string;
  readonly bytes: number;
  /** To acknowledge; null at QoS 0. */
  readonly messageId: number | null;
}

const PUBLISH = 3;
const MOST_LENGTH_BYTES = 4;

export class PacketGuard {
  readonly #maxBytes: number;
  readonly #onSkipped: (skipped: Skipped) => void;
  /** Fixed header of the packet that began, while it is not whole. */
  #header: number[] = [];
  /** Bytes of the current packet's body that have not come yet. */
  #leftBytes = 0;
  #skipping: Opening | null = null;

  constructor(maxBytes: number, onSkipped: (skipped: Skipped) => void) {
    this.#maxBytes = maxBytes;
    this.#onSkipped = onSkipped;
  }

  /** The parts of `chunk` that may go on. Throws AgentError `protocol_broken`; the guard is of no use after that. */
  pass(chunk: Buffer): Buffer[] {
    const passed: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#leftBytes === 0) {
        at = this.#readHeader(chunk, at, passed);
        continue;
      }
      const end = Math.min(chunk.length, at + this.#leftBytes);
      this.#leftBytes -= end - at;
      const part = chunk.subarray(at, end);
      if (this.#skipping === null) passed.push(part);
      else this.#skip(this.#skipping, part);
      at = end;
    }
    return passed;
  }

  #readHeader(chunk: Buffer, at: number, passed: Buffer[]): number {
    const byte = chunk[at] ?? 0;
    this.#header.push(byte);
    const isType = this.#header.length === 1;
    if (isType || byte >= 0x80) {
      if (this.#header.length > MOST_LENGTH_BYTES) throw broken('a length of more than four bytes');
      return at + 1;
    }
    this.#begin(passed);
    this.#header = [];
    return at + 1;
  }

  /** The header is whole: what kind of packet is it? */
  #begin(passed: Buffer[]): void {
    const [type = 0, ...digits] = this.#header;
    const bodyBytes = digits.reduce((sum, digit, index) => sum + (digit & 0x7f) * 128 ** index, 0);
    const bytes = bodyBytes + this.#header.length;
    this.#leftBytes = bodyBytes;
    this.#skipping = null;
    if (bytes <= this.#maxBytes) {
      passed.push(Buffer.from(this.#header));
      return;
    }
    const qos = (type >> 1) & 3;
    if (type >> 4 !== PUBLISH || qos > 1) throw broken(`a packet of ${bytes} bytes that is no message`);
    this.#skipping = new Opening(bytes, qos === 1);
  }

  #skip(opening: Opening, part: Buffer): void {
    opening.take(part);
    if (this.#leftBytes > 0) return;
    const skipped = opening.read();
    if (skipped === null) throw broken('a message that is shorter than its own topic');
    this.#onSkipped(skipped);
  }
}

/** The first bytes of a PUBLISH: its topic and its id, 64 KB at most. */
class Opening {
  readonly #bytes: number;
  readonly #hasId: boolean;
  #start: Buffer = Buffer.alloc(0);

  constructor(bytes: number, hasId: boolean) {
    this.#bytes = bytes;
    this.#hasId = hasId;
  }

  take(part: Buffer): void {
    const missingBytes = this.#wantedBytes() - this.#start.length;
    if (missingBytes <= 0) return;
    // The wanted length is only known once the first two bytes are there.
    this.#start = Buffer.concat([this.#start, part.subarray(0, missingBytes)]);
    if (part.length > missingBytes) this.take(part.subarray(missingBytes));
  }

  read(): Skipped | null {
    const wantedBytes = this.#wantedBytes();
    if (this.#start.length < wantedBytes || wantedBytes === 2) return null;
    const topicEnd = 2 + this.#start.readUInt16BE(0);
    return {
      topic: this.#start.toString('utf8', 2, topicEnd),
      bytes: this.#bytes,
      messageId: this.#hasId ? this.#start.readUInt16BE(topicEnd) : null,
    };
  }

  #wantedBytes(): number {
    if (this.#start.length < 2) return 2;
    return 2 + this.#start.readUInt16BE(0) + (this.#hasId ? 2 : 0);
  }
}

function broken(what: string): AgentError {
  return new AgentError('protocol_broken', `the broker sent ${what}`, {
    hint: 'Is this the port of an MQTT broker?',
    retryable: true,
  });
}
