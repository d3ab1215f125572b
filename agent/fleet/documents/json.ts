/**
 * Reads JSON that anybody may have sent. Two readers must not see two documents in one text, so what parsers disagree
 * about is refused: keys twice in an object, numbers that a double cannot hold, half a surrogate pair. What is unkind
 * to the reader is refused before it is parsed: size, depth, keys that JavaScript gives a meaning of its own.
 */
import { Refused } from './refused.ts';

export interface JsonLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
}

/** Of everything that comes over MQTT: the largest message that AWS IoT Core carries. */
export const MQTT_LIMITS: JsonLimits = { maxBytes: 131_072, maxDepth: 32 };

const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
/** A text (with its colon, if it is a key), a bracket, a number. A quote alone is one that nothing closes. */
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\]]|-?[0-9][0-9.eE+-]*|"/gs;

/** Throws Refused: `oversize`, `bad_text`, `bad_json`, `too_deep`, `duplicate_key`, `forbidden_key`, `bad_number`. */
export function readJson(bytes: Uint8Array, limits: JsonLimits = MQTT_LIMITS): unknown {
  const text = decode(bytes, limits.maxBytes);
  look(text, limits.maxDepth);
  return parse(text);
}

function decode(bytes: Uint8Array, maxBytes: number): string {
  if (bytes.byteLength > maxBytes)
    throw new Refused('oversize', `${bytes.byteLength} bytes are more than the ${maxBytes} allowed`);
  try {
    // A byte order mark stays in the text, and is no JSON.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused('bad_text', 'it is not UTF-8');
  }
}

/** Everything that JSON.parse lets pass. Whether the text is JSON at all is its business. */
function look(text: string, maxDepth: number): void {
  const open: Set<string>[] = [];
  for (const [token, quoted, colon] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') {
      open.push(new Set());
      if (open.length > maxDepth)
        throw new Refused('too_deep', `it is nested deeper than ${maxDepth} levels`);
    } else if (token === '}' || token === ']') open.pop();
    else if (token === '"') throw new Refused('bad_json', 'it is not JSON: a text has no end');
    else if (quoted === undefined) lookAtNumber(token);
    else lookAtText(quoted, colon === undefined ? undefined : open.at(-1));
  }
}

function lookAtNumber(token: string): void {
  const value = Number(token);
  const isExact = /^-?[0-9]+$/.test(token) ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (!isExact) throw new Refused('bad_number', `the number ${token.slice(0, 40)} has no exact value here`);
}

/** `keys`: those of the object so far, where the text is one of them. */
function lookAtText(quoted: string, keys: Set<string> | undefined): void {
  if (keys === undefined && !quoted.includes('\\u')) return;
  const text = parse(quoted);
  if (typeof text !== 'string' || !text.isWellFormed())
    throw new Refused('bad_text', 'a text holds half a surrogate pair');
  if (keys === undefined) return;
  const name = JSON.stringify(text.slice(0, 100));
  if (FORBIDDEN_KEYS.has(text)) throw new Refused('forbidden_key', `the key ${name} is not allowed`);
  if (keys.has(text)) throw new Refused('duplicate_key', `the key ${name} comes twice in one object`);
  keys.add(text);
}

/** What V8 says of a text that is not JSON quotes it: it stays here. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused('bad_json', 'it is not JSON');
  }
}
