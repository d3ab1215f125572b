/**
 * Messages over a socket: four bytes of length (big-endian), then one value in the structured-clone format of V8,
 * in which typed arrays travel as bytes. Both ends use this file.
 *
 * Why not the channel that comes with `child_process`: its parent end parses outside of any handler, so one damaged
 * frame from a cell ends the agent with an uncaught exception (seen with Node 24.21), and it buffers whatever length
 * a frame announces. Here both only close this one channel.
 */
import type { Duplex } from 'node:stream';
import { deserialize, serialize } from 'node:v8';
import { AgentError } from '../errors.ts';

/** Above every honest message: 16,000 embeddings of 1,024 numbers. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;
const HEADER_BYTES = 4;

/** One message as bytes. Throws AgentError `too_large`. */
export function encodeFrame(message: unknown, maxBytes = MAX_FRAME_BYTES): Buffer {
  const body = serialize(message);
  if (body.length > maxBytes) {
    throw new AgentError('too_large', `A message of ${body.length} bytes is over the limit of ${maxBytes}.`, {
      hint: 'Send less text in one request.',
    });
  }
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  frame.writeUInt32BE(body.length, 0);
  frame.set(body, HEADER_BYTES);
  return frame;
}

/** Puts chunks of a stream together to messages. */
export class FrameReader {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #bufferedBytes = 0;
  /** Length of the body that is being read; null while the header is. */
  #bodyBytes: number | null = null;

  constructor(maxBytes = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** The messages that `chunk` completes. Throws AgentError `malformed`; the reader is of no use after that. */
  *push(chunk: Buffer): Generator<unknown> {
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    for (;;) {
      if (this.#bodyBytes === null) {
        if (this.#bufferedBytes < HEADER_BYTES) return;
        this.#bodyBytes = this.#readLength();
      }
      if (this.#bufferedBytes < this.#bodyBytes) return;
      const body = this.#take(this.#bodyBytes);
      this.#bodyBytes = null;
      yield decode(body);
    }
  }

  #readLength(): number {
    const length = this.#take(HEADER_BYTES).readUInt32BE(0);
    if (length > this.#maxBytes) throw new AgentError('malformed', `a frame of ${length} bytes is announced`);
    return length;
  }

  /** Always a copy: typed arrays of the message may be views of it, and must not keep whole chunks alive. */
  #take(bytes: number): Buffer {
    const piece = Buffer.allocUnsafeSlow(bytes);
    let filled = 0;
    while (filled < bytes) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) throw new AgentError('internal', 'the frame reader lost count of its bytes');
      const part = Math.min(chunk.length, bytes - filled);
      piece.set(chunk.subarray(0, part), filled);
      filled += part;
      if (part === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part);
    }
    this.#bufferedBytes -= bytes;
    return piece;
  }
}

function decode(body: Buffer): unknown {
  try {
    return deserialize(body);
  } catch (cause) {
    throw new AgentError('malformed', 'a frame is not in the format of V8', { cause });
  }
}

export interface ChannelHandlers {
  /** May throw: that breaks the channel. */
  readonly onMessage: (message: unknown) => void;
  /** The other end sent what cannot be read. Nothing is read any more. */
  readonly onBroken: (error: unknown) => void;
  /** The other end is gone. Comes once, and last. */
  readonly onClosed: () => void;
}

/** One end of the connection between the agent and a cell. */
export class Channel {
  readonly #stream: Duplex;

  constructor(stream: Duplex, handlers: ChannelHandlers) {
    this.#stream = stream;
    const reader = new FrameReader();
    stream.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) handlers.onMessage(message);
      } catch (error) {
        stream.destroy();
        handlers.onBroken(error);
      }
    });
    // A write to a process that has just died fails; its exit tells the story.
    stream.on('error', () => stream.destroy());
    stream.on('end', () => stream.destroy());
    stream.on('close', () => handlers.onClosed());
  }

  /** Sends a message, or does nothing where the other end is gone. Throws AgentError `too_large`. */
  send(message: unknown): void {
    const frame = encodeFrame(message);
    if (this.#stream.writable) this.#stream.write(frame);
  }
}
