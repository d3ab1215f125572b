/**
 * Values of the core as text and back, for the log: JSON that also holds Maps, typed arrays and every number.
 * `decode(encode(x))` deep-equals `x` for all that `encode` takes; what it does not take, it refuses.
 *
 * A value that JSON has no word for is an object with one key: `{"$map": [[key, value], ...]}`, `{"$i8": base64}`,
 * `{"$u32": base64, little-endian}`, `{"$n": "-0" | "NaN" | "Infinity" | "-Infinity"}`. Keys of ordinary objects
 * that begin with `$` get one more `$`, so no ordinary object looks like one of these.
 */
import { AgentError } from './errors.ts';
import type { Event } from './events.ts';
import type { Choice, State, Step } from './types.ts';

/** Deeper text is refused: decoding recurses, and nothing of the core is deeper than 12. */
const maxDepth = 64;

/** A type that is missing here does not compile. */
const eventTypes = {
  configured: true,
  installed: true,
  removed: true,
  staged: true,
  rolledBack: true,
  tested: true,
  pending: true,
  learned: true,
  request: true,
  features: true,
  hungUp: true,
  released: true,
  loaded: true,
  loadFailed: true,
  unloaded: true,
  parked: true,
  parkFailed: true,
  cached: true,
  remembered: true,
  trimmed: true,
  unloadFailed: true,
  cellExited: true,
  sample: true,
  command: true,
  ordered: true,
  tick: true,
} satisfies Record<Event['type'], true>;

/** Text of a value. Throws AgentError `not_encodable` for undefined, functions, class instances, bigints, cycles. */
export function encode(value: unknown): string {
  try {
    return JSON.stringify(value, tagged) ?? refuse('undefined');
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw new AgentError('not_encodable', 'The value cannot be written as text.', { cause: error });
  }
}

/** Value of a text. Throws AgentError `bad_encoding` for whatever `encode` did not write. */
export function decode(text: string): unknown {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new AgentError('bad_encoding', 'The text is not JSON.', { cause: error });
  }
  return revive(parsed, 0);
}

/** As `decode`, and the value must be an event of a kind that this version knows. */
export function decodeEvent(text: string): Event {
  const value = decode(text);
  if (
    !isRecord(value) ||
    typeof value['atMs'] !== 'number' ||
    !Object.hasOwn(eventTypes, String(value['type']))
  ) {
    bad('not an event that this version knows');
  }
  return value as unknown as Event;
}

/** What a state has; what an earlier version wrote lacks some of it, and cannot be decided from. */
const tables = ['experts', 'pending', 'cells', 'leases', 'requests', 'rollouts'];
const parts = ['settings', 'pressure', 'loadCost', 'habits', 'guesses'];

/** As `decode`, and the value must have the tables and parts of a state of this version. */
export function decodeState(text: string): State {
  const value = decode(text);
  if (!isRecord(value) || !(value['experts'] instanceof Map)) return bad('not a state');
  const missing =
    tables.find((table) => !(value[table] instanceof Map)) ?? parts.find((part) => !isRecord(value[part]));
  if (missing !== undefined) bad(`a state without "${missing}", of another version of expertd`);
  return value as unknown as State;
}

/** As `decode`, and the value must be a list of steps. */
export function decodeSteps(text: string): readonly Step[] {
  const value = decode(text);
  if (!Array.isArray(value) || !value.every((step) => isRecord(step) && typeof step['type'] === 'string')) {
    bad('not a list of steps');
  }
  return value as Step[];
}

/** As `decode`, and the value must be a choice. */
export function decodeChoice(text: string): Choice {
  const value = decode(text);
  if (!isRecord(value) || typeof value['request'] !== 'string' || !Array.isArray(value['candidates'])) {
    bad('not a choice');
  }
  return value as unknown as Choice;
}

// ---- writing --------------------------------------------------------------------------------------------------

/** Replacer of `JSON.stringify`, which calls it again for what is inside of what it returns. */
function tagged(this: unknown, key: string, value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean')
    return original(this, key, value);
  if (typeof value === 'number')
    return isOrdinary(value) ? value : { $n: Object.is(value, -0) ? '-0' : `${value}` };
  if (typeof value !== 'object') return refuse(typeof value);
  if (Array.isArray(value)) return value;
  if (value instanceof Map) return { $map: [...value] };
  if (value instanceof Int8Array) return { $i8: base64(value) };
  if (value instanceof Uint32Array) return { $u32: base64(value) };
  return Object.getPrototypeOf(value) === Object.prototype
    ? escaped(value)
    : refuse('an instance of a class');
}

/** `toJSON` (a Date has it) runs before a replacer: then the value is not what the holder holds. */
function original(holder: unknown, key: string, value: unknown): unknown {
  return (holder as Record<string, unknown>)[key] === value ? value : refuse('an object with toJSON');
}

function isOrdinary(value: number): boolean {
  return Number.isFinite(value) && !Object.is(value, -0);
}

function escaped(value: object): object {
  if (!Object.keys(value).some((key) => key.startsWith('$'))) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.startsWith('$') ? `$${key}` : key, inner]),
  );
}

/** Little-endian, as every machine that expertd runs on is. */
function base64(array: Int8Array | Uint32Array): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');
}

function refuse(what: string): never {
  throw new AgentError('not_encodable', `A value to be logged holds ${what}.`);
}

// ---- reading --------------------------------------------------------------------------------------------------

function revive(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) return bad('nested too deeply');
  if (Array.isArray(value)) return value.map((inner) => revive(inner, depth + 1));
  const entries = Object.entries(value);
  const [first] = entries;
  if (first !== undefined && isTag(first[0])) {
    if (entries.length !== 1) bad(`${first[0]} beside other keys`);
    return untagged(first[0], first[1], depth);
  }
  // `fromEntries` defines properties: a key `__proto__` becomes a property like any other and sets no prototype.
  return Object.fromEntries(
    entries.map(([key, inner]) => {
      if (isTag(key)) bad(`${key} beside other keys`);
      return [key.startsWith('$') ? key.slice(1) : key, revive(inner, depth + 1)];
    }),
  );
}

function isTag(key: string): boolean {
  return key.startsWith('$') && !key.startsWith('$$');
}

function untagged(tag: string, value: unknown, depth: number): unknown {
  switch (tag) {
    case '$map':
      return map(value, depth);
    case '$i8': {
      const data = bytes(value);
      return new Int8Array(data.buffer, 0, data.length);
    }
    case '$u32': {
      const data = bytes(value);
      if (data.length % 4 !== 0) bad('a Uint32Array of a broken length');
      return new Uint32Array(data.buffer, 0, data.length / 4);
    }
    case '$n':
      return oddNumber(value);
    default:
      return bad(`the unknown tag ${tag}`);
  }
}

function map(value: unknown, depth: number): Map<unknown, unknown> {
  if (!Array.isArray(value)) return bad('a Map that is no list');
  const result = new Map<unknown, unknown>();
  for (const pair of value) {
    if (!Array.isArray(pair) || pair.length !== 2) return bad('an entry of a Map that is no pair');
    result.set(revive(pair[0], depth + 1), revive(pair[1], depth + 1));
  }
  return result;
}

/** A copy with a buffer of its own (Buffer's pool is not aligned). `Buffer.from` skips what is not base64: compare. */
function bytes(value: unknown): Uint8Array<ArrayBuffer> {
  if (typeof value !== 'string') return bad('an array that is not base64');
  const buffer = Buffer.from(value, 'base64');
  if (buffer.toString('base64') !== value) bad('an array that is not base64');
  return new Uint8Array(buffer);
}

function oddNumber(value: unknown): number {
  if (value === '-0') return -0;
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  return bad('an unknown number');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

function bad(what: string): never {
  throw new AgentError('bad_encoding', `The text is not what this program writes: ${what}.`);
}
