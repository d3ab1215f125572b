/**
 * A network that fails: a TCP proxy whose connections can be delayed, dropped in one direction, closed by half, or cut
 * in the middle of a packet. `up` is from the client to the broker, `down` the other way.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Direction = 'up' | 'down';

interface Pair {
  readonly client: Socket;
  readonly broker: Socket;
}

export class Cut {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #dropped = new Set<Direction>();
  /** Bytes that may still pass before all is cut. */
  readonly #leftBytes: Record<Direction, number> = { up: Infinity, down: Infinity };
  #delayMs = 0;
  #refuses = false;
  /** Connections that were taken so far. */
  #taken = 0;

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    server.on('connection', (client) => this.#take(client, targetPort));
  }

  static async open(targetPort: number): Promise<Cut> {
    const server = createServer({ noDelay: true });
    const cut = new Cut(server, targetPort);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return cut;
  }

  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Resets all connections. */
  reset(): void {
    for (const { client, broker } of this.#pairs) {
      client.resetAndDestroy();
      broker.resetAndDestroy();
    }
  }

  /** What flows this way is gone from now on, and nobody is told; in the connections of later too, until `heal`. */
  drop(direction: Direction): void {
    this.#dropped.add(direction);
  }

  /** Ends one direction in order (FIN); the other stays open. */
  halfClose(direction: Direction): void {
    for (const { client, broker } of this.#pairs) (direction === 'up' ? broker : client).end();
  }

  /** Lets so many bytes more pass this way, in whatever packet they end, and resets all. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#leftBytes[direction] = bytes;
  }

  /** Holds each chunk so long, both ways. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Resets who connects, as long as it is true. */
  refuse(refuses: boolean): void {
    this.#refuses = refuses;
  }

  heal(): void {
    this.#dropped.clear();
    Object.assign(this.#leftBytes, { up: Infinity, down: Infinity });
    this.#delayMs = 0;
    this.#refuses = false;
  }

  async close(): Promise<void> {
    this.reset();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #take(client: Socket, targetPort: number): void {
    this.#taken += 1;
    if (this.#refuses) return void client.on('error', () => undefined).resetAndDestroy();
    const broker = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    const pair = { client, broker };
    this.#pairs.add(pair);
    this.#carry(client, broker, 'up');
    this.#carry(broker, client, 'down');
    for (const socket of [client, broker])
      socket.once('close', () => {
        this.#pairs.delete(pair);
        client.destroy();
        broker.destroy();
      });
  }

  #carry(from: Socket, to: Socket, direction: Direction): void {
    from.on('error', () => undefined);
    from.on('data', (chunk: Buffer) => {
      if (this.#delayMs === 0) this.#pass(chunk, to, direction);
      else setTimeout(() => this.#pass(chunk, to, direction), this.#delayMs);
    });
  }

  #pass(chunk: Buffer, to: Socket, direction: Direction): void {
    if (this.#dropped.has(direction)) return;
    const leftBytes = this.#leftBytes[direction];
    this.#leftBytes[direction] = Math.max(0, leftBytes - chunk.length);
    if (chunk.length < leftBytes) {
      if (to.writable) to.write(chunk);
      return;
    }
    // What is cut arrives up to the cut, as it does when a cable is pulled.
    if (to.writable) to.write(chunk.subarray(0, leftBytes), () => this.reset());
    else this.reset();
  }
}
