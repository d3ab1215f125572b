/** A socket as mqtt.js sees it: what comes in went past the guard. */
import { Duplex } from 'node:stream';
import type { PacketGuard } from './packet-guard.ts';

type Done = (error?: Error | null) => void;

export class GuardedStream extends Duplex {
  readonly #socket: Duplex;
  #reached = false;
  /** Sends what was written before the other side answered. */
  #held: () => void = () => undefined;

  /** `readyEvent` is when the other side has answered: `connect`, or with TLS `secureConnect`. */
  constructor(socket: Duplex, guard: PacketGuard, readyEvent: 'connect' | 'secureConnect') {
    super();
    this.#socket = socket;
    socket.once(readyEvent, () => {
      this.#reached = true;
      this.#held();
    });
    socket.on('data', (chunk: Buffer) => this.#receive(chunk, guard));
    socket.on('end', () => this.push(null));
    // Half a connection is of no use: a broker that is done with us is gone. But what it said last, which may be why,
    // is read first: mqtt.js takes a turn for each packet.
    this.on('end', () => setImmediate(() => this.destroy()));
    socket.on('close', () => {
      if (!socket.readableEnded) this.destroy();
    });
    socket.on('error', (error) => this.destroy(error));
  }

  /** The broker's side took the connection, TLS included. */
  get reached(): boolean {
    return this.#reached;
  }

  #receive(chunk: Buffer, guard: PacketGuard): void {
    if (this.destroyed) return;
    try {
      for (const part of guard.pass(chunk)) if (!this.push(part)) this.#socket.pause();
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send(chunk, done);
  }

  /** mqtt.js writes a packet in many small pieces: they go out as one. */
  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Done): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  /**
   * Not before TLS stands: a handshake that fails under a write tells an error of the write, and not why. For the same
   * reason a failed write is left to the socket's own `error`, which comes after.
   */
  #send(bytes: Buffer, done: Done): void {
    const send = (): void => {
      this.#socket.write(bytes, (error) => {
        if (!error) done();
      });
    };
    if (this.#reached) send();
    else this.#held = send;
  }

  override _final(done: Done): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy();
    done(error);
  }
}
