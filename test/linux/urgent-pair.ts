/** Two ends of a TCP connection as plain files: one sends a byte out of band, which the other has as a priority event. */
import { closeSync } from 'node:fs';
import type { Foreign, ForeignFunction, Signature } from '../../agent/linux/foreign.ts';

const [AF_INET, SOCK_STREAM, MSG_OOB] = [2, 1, 1];
const ADDRESS_BYTES = 16;

export class UrgentPair {
  readonly receiver: number;
  readonly #sender: number;
  readonly #send: (file: number, bytes: Uint8Array, length: number, flags: number) => number;

  constructor(foreign: Foreign) {
    const find = <const S extends Signature>(name: string, signature: S): ForeignFunction<S> => {
      const address = foreign.find(null, name);
      if (address === null) throw new Error(`there is no ${name}()`);
      return foreign.functionAt(address, signature);
    };
    const socket = find('socket', ['int', 'int', 'int', 'int']);
    const withAddress = ['int', 'int', 'void *', 'size_t'] as const;
    this.#send = find('send', ['int64_t', 'int', 'void *', 'size_t', 'int']);
    const loopback = Buffer.alloc(ADDRESS_BYTES);
    loopback.writeUInt16LE(AF_INET, 0);
    loopback.set([127, 0, 0, 1], 4);
    const listener = socket(AF_INET, SOCK_STREAM, 0);
    find('bind', withAddress)(listener, loopback, ADDRESS_BYTES);
    find('listen', ['int', 'int', 'int'])(listener, 1);
    // The port that the kernel chose comes back in the address.
    find('getsockname', ['int', 'int', 'void *', 'void *'])(listener, loopback, Int32Array.of(ADDRESS_BYTES));
    this.#sender = socket(AF_INET, SOCK_STREAM, 0);
    find('connect', withAddress)(this.#sender, loopback, ADDRESS_BYTES);
    this.receiver = find('accept', ['int', 'int', 'void *', 'void *'])(listener, null, null);
    closeSync(listener);
    if (this.receiver < 0) throw new Error('the connection was not made');
  }

  send(byte: number, how: 'ordinary' | 'urgent'): void {
    this.#send(this.#sender, Uint8Array.of(byte), 1, how === 'urgent' ? MSG_OOB : 0);
  }

  close(): void {
    closeSync(this.receiver);
    closeSync(this.#sender);
  }
}
