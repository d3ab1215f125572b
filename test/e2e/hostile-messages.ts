/**
 * What somebody may send who reaches the broker, and what a device has to say to it at each topic that it hears. It is the
 * device of `../fleet/trust/made.ts`, which is enrolled, and follows a document of generation `GEN`.
 */
import { gzipSync } from 'node:zlib';
import type { Envelope } from '../../agent/fleet/trust/dsse.ts';
import {
  bytes,
  COMMAND,
  command,
  desired,
  envelope,
  keySet,
  RELEASE,
  ROOT,
  STRANGER,
} from '../fleet/trust/made.ts';

/** Topics that the device hears: documents, orders, acknowledgements, the collector's word, Home Assistant's button. */
export const DOORS = ['desired', 'cmd', 'ack', 'collector', 'press'] as const;
export type Door = (typeof DOORS)[number];

export interface Hostile {
  readonly name: string;
  readonly payload: Uint8Array;
  /** Why it is not followed; null: it is known already, and no refusal. */
  readonly reasons: Readonly<Record<Door, string | null>>;
}

/** Of the document that the device follows, and of the release in it. */
export const GEN = 5;
/** The highest counter that a command of the device has had. */
export const COUNTER = 2;
/** Further from the time of now than any clock may be wrong. */
const DAY_SECONDS = 86_400;
const HOUR_SECONDS = 3_600;

const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

/** A document and a command as they should be, for now. */
export function soundDesired(more: Readonly<Record<string, unknown>> = {}): Envelope {
  return envelope('desired', desiredOf(more), RELEASE);
}
export function soundCommand(more: Readonly<Record<string, unknown>> = {}): Envelope {
  return envelope('command', commandOf(more), COMMAND);
}

function desiredOf(more: Readonly<Record<string, unknown>> = {}) {
  const releases = { release_no: GEN, min_release: GEN };
  return desired({ gen: GEN, ...releases, exp: nowSeconds() + HOUR_SECONDS, ...more });
}
function commandOf(more: Readonly<Record<string, unknown>> = {}) {
  const life = { nbf: nowSeconds() - 60, exp: nowSeconds() + HOUR_SECONDS };
  return command({ type: 'unload', args: { expert: 'crow' }, id: 'evil', ctr: 99, ...life, ...more });
}

/** What `follows` and `done` hold came before: the document that counts, and a command that was carried out. */
export function hostileMessages(
  follows: Envelope,
  done: Envelope,
  clockTrusted: boolean,
): readonly Hostile[] {
  return [
    ...misread(),
    ...badDocuments(),
    ...badCommands(),
    ...untimely(clockTrusted),
    ...late(follows, done),
  ];
}

/** Nobody can read it, or nobody signed it. */
function misread(): readonly Hostile[] {
  const sound = JSON.stringify(commandOf());
  const deep = `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`;
  const form = (name: string, payload: string | Uint8Array, reason: string): Hostile =>
    hostile(name, Buffer.from(payload), { desired: reason, cmd: reason, other: reason });
  const noEnvelope = { desired: 'bad_envelope', cmd: 'bad_envelope', other: 'bad_shape' };
  const unsigned = { desired: 'unsigned', cmd: 'unsigned', other: 'bad_shape' };
  return [
    form('no JSON', 'unload everything', 'bad_json'),
    form('half of a message', sound.slice(0, -9), 'bad_json'),
    form('deep JSON', deep, 'too_deep'),
    form('deep lists', '['.repeat(60_000), 'too_deep'),
    form('__proto__', `{"__proto__":{"isAdmin":true},${sound.slice(1)}`, 'forbidden_key'),
    form('__proto__, disguised', `{"__pr\\u006fto__":{},${sound.slice(1)}`, 'forbidden_key'),
    form('a constructor', `{"constructor":{"prototype":{}},${sound.slice(1)}`, 'forbidden_key'),
    form('a key twice', `{"payload":"","payload":"eA=="}`, 'duplicate_key'),
    form('a number without end', '{"hw":1e999}', 'bad_number'),
    form('a gzip bomb', gzipSync(Buffer.alloc(50_000_000)), 'bad_text'),
    form('half a surrogate pair', '{"payloadType":"\\ud800"}', 'bad_text'),
    form('bytes that are no text', Buffer.of(0xff, 0xfe, 0x00), 'bad_text'),
    form('200 KB', Buffer.alloc(200_000, ' '), 'oversize'),
    hostile('a command without an envelope', Buffer.from(sound), noEnvelope),
    hostile('nothing in an object', Buffer.from('{}'), noEnvelope),
    hostile('an unsigned document', bytes(envelope('desired', desiredOf({ gen: 99 }))), unsigned),
    hostile('an unsigned command', bytes(envelope('command', commandOf())), unsigned),
    {
      ...hostile('an acknowledgement of what was never sent', ackOf(Number.MAX_SAFE_INTEGER), noEnvelope),
      reasons: { ...reasonsOf(noEnvelope), ack: 'ack_refused' },
    },
  ];
}

function badDocuments(): readonly Hostile[] {
  const made = (name: string, more: Readonly<Record<string, unknown>>, reason: string): Hostile =>
    document(name, soundDesired({ gen: 99, ...more }), reason);
  return [
    document('a stranger signs', envelope('desired', desiredOf({ gen: 99 }), STRANGER), 'unknown_key'),
    document('the key of commands signs', envelope('desired', desiredOf({ gen: 99 }), COMMAND), 'wrong_role'),
    document('another text is signed', changed(soundDesired(), desiredOf({ gen: 99 })), 'bad_signature'),
    made('for another device', { aud: 'other-1' }, 'wrong_audience'),
    made('a later version', { v: 2 }, 'unknown_version'),
    made('one field too many', { shell: 'rm -rf /' }, 'bad_shape'),
    made('an older generation', { gen: GEN - 1 }, 'old_generation'),
    made('another document of this generation', { gen: GEN, budget: '10MB' }, 'forked'),
    made('a release that is too old', { release_no: 1, min_release: 1 }, 'rollback'),
  ];
}

function badCommands(): readonly Hostile[] {
  const made = (name: string, more: Readonly<Record<string, unknown>>, reason: string): Hostile =>
    order(name, soundCommand(more), reason);
  const rotation = envelope('keys', keySet({ version: 2 }), STRANGER);
  return [
    order('a stranger orders', envelope('command', commandOf(), STRANGER), 'unknown_key'),
    order('the key of releases orders', envelope('command', commandOf(), RELEASE), 'wrong_role'),
    order('another order is signed', changed(soundCommand(), commandOf({ id: 'c9' })), 'bad_signature'),
    made('to another device', { aud: 'other-1' }, 'wrong_audience'),
    made('in a later version', { v: 2 }, 'unknown_version'),
    made('of a type that is none', { type: 'shell', args: {} }, 'bad_shape'),
    made('with a counter that was there', { ctr: COUNTER }, 'low_counter'),
    made('under the id of another', { id: 'one' }, 'forked'),
    order('keys of a stranger', rotation, 'unknown_key'),
    order('keys of before', envelope('keys', keySet({ version: 0 }), ROOT), 'bad_shape'),
    order('keys that are used', envelope('keys', keySet(), ROOT), 'old_keys'),
    order('a second enrolment', envelope('enrolment', { v: 1 }, STRANGER), 'old_keys'),
  ];
}

/** Only a clock that somebody has set can tell. */
function untimely(clockTrusted: boolean): readonly Hostile[] {
  if (!clockTrusted) return [];
  const past = { nbf: nowSeconds() - 2 * DAY_SECONDS, exp: nowSeconds() - DAY_SECONDS };
  const future = { nbf: nowSeconds() + DAY_SECONDS, exp: nowSeconds() + DAY_SECONDS + HOUR_SECONDS };
  return [
    document('a document of yesterday', soundDesired({ gen: 99, ...past }), 'expired'),
    document('a document of tomorrow', soundDesired({ gen: 99, ...future }), 'not_yet_valid'),
    order('an order of yesterday', soundCommand(past), 'expired'),
    order('an order of tomorrow', soundCommand(future), 'not_yet_valid'),
  ];
}

/** Byte for byte what was good once: it is known, and not done again. */
function late(follows: Envelope, done: Envelope): readonly Hostile[] {
  const again = [document('the same document', follows, ''), order('the same order', done, '')];
  return again.map(({ name, payload, reasons }) => ({
    name,
    payload,
    reasons: { ...reasons, desired: reasons.desired || null, cmd: reasons.cmd || null },
  }));
}

/** Envelopes of which every change is refused, and they themselves too: for who changes them at random. */
export function worthless(): readonly Uint8Array[] {
  return [
    bytes(soundDesired({ gen: GEN - 1 })),
    bytes(soundCommand({ ctr: COUNTER })),
    bytes(envelope('keys', keySet(), ROOT)),
    bytes(soundDesired({ gen: GEN - 2 }), envelope('keys', keySet(), ROOT)),
  ];
}

/** Some bytes changed, taken away, doubled or put in. */
export function mutated(payload: Uint8Array, random: () => number): Uint8Array {
  const whole = Buffer.from(payload);
  const at = Math.floor(random() * whole.length);
  const end = Math.min(whole.length, at + 1 + Math.floor(random() * 40));
  const [before, piece, rest] = [whole.subarray(0, at), whole.subarray(at, end), whole.subarray(end)];
  const noise = Buffer.from(Array.from({ length: piece.length }, () => Math.floor(random() * 256)));
  const flipped = Buffer.from(piece);
  flipped[0] = (flipped[0] ?? 0) ^ (1 << Math.floor(random() * 8));
  const ways = [
    [before, flipped, rest],
    [before, noise, rest],
    [before, rest],
    [before, piece, piece, rest],
    [before, noise, piece, rest],
    [before, Buffer.from('"}],{['.charAt(Math.floor(random() * 6))), rest],
    [before],
  ];
  return Buffer.concat(ways[Math.floor(random() * ways.length)] ?? []);
}

/** What the device says to a message of that many megabytes: it is passed over before anybody reads it. */
export function huge(megabytes: number): Hostile {
  const payload = Buffer.alloc(megabytes * 1_000_000, '{"v":1,');
  const reasons = Object.fromEntries(DOORS.map((door) => [door, 'too_large'])) as Record<Door, string>;
  return { name: `${megabytes} MB`, payload, reasons };
}

interface Said {
  readonly desired: string;
  readonly cmd: string;
  /** Where nothing is signed: an acknowledgement, or the word of a collector. */
  readonly other: string;
}

function hostile(name: string, payload: Uint8Array, said: Said): Hostile {
  return { name, payload, reasons: reasonsOf(said) };
}

function reasonsOf({ desired: atDesired, cmd, other }: Said): Hostile['reasons'] {
  return { desired: atDesired, cmd, ack: other, collector: other, press: 'no_press' };
}

function document(name: string, one: Envelope, reason: string): Hostile {
  return hostile(name, bytes(one), { desired: reason, cmd: 'wrong_type', other: 'bad_shape' });
}

function order(name: string, one: Envelope, reason: string): Hostile {
  return hostile(name, bytes(one), { desired: 'wrong_type', cmd: reason, other: 'bad_shape' });
}

function changed(one: Envelope, value: unknown): Envelope {
  return { ...one, body: Buffer.from(JSON.stringify(value)) };
}

function ackOf(hw: number): Uint8Array {
  return Buffer.from(JSON.stringify({ epoch: Number.MAX_SAFE_INTEGER, hw, missing: [] }));
}
