/** A broker that is a script: each connection is a wire in memory, whose other end the test holds. */
import { type Duplex, duplexPair } from 'node:stream';
import mqttPacket, { type Packet } from 'mqtt-packet';
import type { Dial } from '../../../agent/fleet/session/dial.ts';
import { GuardedStream } from '../../../agent/fleet/session/guarded-stream.ts';
import { settled } from './fake-clock.ts';

export class Wire {
  /** All that the client sent, in order. */
  readonly received: Packet[] = [];
  readonly version: number;
  readonly #near: Duplex;
  readonly #far: Duplex;
  #isClosed = false;
  #answered = 0;

  constructor(near: Duplex, far: Duplex, version: number) {
    this.#near = near;
    this.#far = far;
    this.version = version;
    const parser = mqttPacket.parser({ protocolVersion: version });
    parser.on('packet', (packet) => this.received.push(packet));
    far.on('data', (chunk: Buffer) => void parser.parse(chunk));
    near.on('close', () => {
      this.#isClosed = true;
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** TCP stands. */
  reach(): this {
    this.#near.emit('connect');
    return this;
  }

  async send(packet: Packet): Promise<void> {
    await this.sendBytes(mqttPacket.generate(packet, { protocolVersion: this.version }));
  }

  async sendBytes(bytes: Uint8Array): Promise<void> {
    this.#far.write(bytes);
    await settled();
  }

  /** The broker says its last word and closes in order, both in one go. */
  async sendAndEnd(...packets: readonly Packet[]): Promise<void> {
    const bytes = packets.map((packet) => mqttPacket.generate(packet, { protocolVersion: this.version }));
    this.#far.end(Buffer.concat(bytes));
    await settled();
  }

  /** The broker, or the network, closes. */
  async close(error?: Error): Promise<void> {
    this.#near.destroy(error);
    await settled();
  }

  /** Accepts, and answers all that is asked; `granted` is the code for each topic. */
  async accept({ sessionPresent = false, granted = 1 } = {}): Promise<void> {
    this.reach();
    await this.send({ cmd: 'connack', returnCode: 0, reasonCode: 0, sessionPresent });
    await this.answer(granted);
  }

  /** Acknowledges what was not acknowledged yet. */
  async answer(granted = 1): Promise<void> {
    for (; this.#answered < this.received.length; this.#answered += 1) {
      const packet = this.received[this.#answered];
      const messageId = packet?.messageId ?? 0;
      if (packet?.cmd === 'subscribe')
        await this.send({ cmd: 'suback', messageId, granted: packet.subscriptions.map(() => granted) });
      if (packet?.cmd === 'unsubscribe') await this.send({ cmd: 'unsuback', messageId, granted: [0] });
      if (packet?.cmd === 'publish' && packet.qos === 1) await this.send({ cmd: 'puback', messageId });
      if (packet?.cmd === 'pingreq') await this.send({ cmd: 'pingresp' });
    }
  }

  /** The same, once what was just asked has come. */
  async answerNext(granted = 1): Promise<void> {
    await settled();
    await this.answer(granted);
  }

  /** The packets of one kind. */
  of<K extends Packet['cmd']>(cmd: K): Extract<Packet, { cmd: K }>[] {
    return this.received.filter((packet): packet is Extract<Packet, { cmd: K }> => packet.cmd === cmd);
  }
}

export class Wires {
  readonly all: Wire[] = [];
  /** What the next attempts to dial throw. */
  error: Error | null = null;

  readonly dial: Dial = (_broker, _credentials, guard) => {
    if (this.error !== null) throw this.error;
    const [near, far] = duplexPair();
    // Which version it is, only CONNECT tells.
    const wire = new Wire(near, far, this.speaks);
    this.all.push(wire);
    setImmediate(() => wire.reach());
    return new GuardedStream(near, guard, 'connect');
  };

  /** The version that the next wire expects. */
  speaks: 4 | 5 = 4;

  get last(): Wire {
    const wire = this.all.at(-1);
    if (wire === undefined) throw new Error('nobody has connected');
    return wire;
  }
}
