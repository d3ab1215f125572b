/**
 * Calls into C libraries of this process. Like `dlsym`, it trusts its caller: a wrong signature or address ends the
 * process, so signatures are written down beside the functions that they are of, and nothing else calls this.
 */
import { promisify } from 'node:util';

/** Where something is in the memory of this process. */
export type Address = bigint;

/** C types that cross the border, with what they are in JavaScript: as an argument, and as a result. */
interface CTypes {
  /** An array is passed as the address of its first element, for the time of the call. */
  readonly 'void *': readonly [Address | NodeJS.ArrayBufferView | null, Address | null];
  readonly 'const char *': readonly [string, string | null];
  readonly int: readonly [number, number];
  readonly size_t: readonly [number, number];
  readonly int64_t: readonly [number, number];
  readonly void: readonly [never, undefined];
}
export type CType = keyof CTypes;

/** The result's type, then the parameters'. */
export type Signature = readonly [result: CType, ...parameters: readonly CType[]];

export type ForeignFunction<S extends Signature> = S extends readonly [
  infer R extends CType,
  ...infer P extends readonly CType[],
]
  ? (...values: { -readonly [K in keyof P]: CTypes[P[K] & CType][0] }) => CTypes[R][1]
  : never;

/** The same in a thread of Node's pool: the arrays that it gets must be kept until it has settled. */
export type WaitingFunction<S extends Signature> =
  ForeignFunction<S> extends (...values: infer V) => infer R ? (...values: V) => Promise<R> : never;

export interface Foreign {
  /**
   * Address of a function of a library that this process has loaded and keeps (its path), or of this process itself
   * (null); null where there is no such thing.
   */
  find(library: string | null, name: string): Address | null;
  /** What stands at an address, to be called from JavaScript. */
  functionAt<const S extends Signature>(address: Address, signature: S): ForeignFunction<S>;
  /** For what may take long. Until it returns, it holds one of the pool's threads, and the end of the process. */
  waitingAt<const S extends Signature>(address: Address, signature: S): WaitingFunction<S>;
  /** `count` addresses that lie one after the other in memory. */
  addressesAt(address: Address, count: number): readonly (Address | null)[];
  /** Text up to its NUL. */
  textAt(address: Address): string;
  /** Where the elements of an array over a buffer of its own are: they stay there for as long as it is in use. */
  addressOf(array: NodeJS.ArrayBufferView): Address;
}

/** null where foreign functions cannot be called: there is no prebuilt koffi for this system. */
export async function openForeign(): Promise<Foreign | null> {
  try {
    const { default: koffi } = await import('koffi');
    return {
      find: (library, name) => {
        try {
          return koffi.load(library).symbol(name);
        } catch {
          return null;
        }
      },
      functionAt: (address, [result, ...parameters]) =>
        koffi.decode(address, koffi.proto(result, [...parameters])),
      waitingAt: (address, [result, ...parameters]) =>
        promisify(koffi.decode(address, koffi.proto(result, [...parameters])).async),
      addressesAt: (address, count) => koffi.decode(address, 'void *', count),
      textAt: (address) => koffi.decode.string(address),
      addressOf: (array) => koffi.address(array),
    };
  } catch {
    return null;
  }
}
