/** Whether a command is to be carried out, and what becomes of it. Pure: the memory is a value of the caller. */
import { type Command, checkCommand } from '../documents/command.ts';
import { isFor, readDocument } from '../documents/reading.ts';
import { type Reason, Refused } from '../documents/refused.ts';
import type { CommandState } from '../documents/shapes.ts';
import { telling } from './admit-desired.ts';
import { needType, readEnvelope } from './dsse.ts';
import { type Keyring, sha256, signersOf } from './keyring.ts';
import { type Circumstances, followKeys, needBegun, needUnexpired, type Trust } from './trust.ts';

/**
 * JSON, to be stored before a command is acted on. A command is taken once: its id is in `results`, or it was
 * forgotten and then nothing that expires as early is taken again. That holds whatever the clock says.
 */
export interface CommandMemory {
  /** Newest last. */
  readonly results: readonly CommandResult[];
  /** The highest counter of each key, by id. */
  readonly counters: Readonly<Record<string, number>>;
  /** The latest expiry of what was forgotten, in seconds. */
  readonly forgottenUntil: number;
}

export interface CommandResult {
  readonly id: string;
  /** sha256 of the bytes of the command. */
  readonly digest: string;
  /** Seconds, as in the command. */
  readonly exp: number;
  readonly state: CommandState;
  readonly reason: string | null;
  readonly detail: string | null;
}

export const NO_COMMANDS: CommandMemory = { results: [], counters: {}, forgottenUntil: 0 };

interface Standing {
  readonly memory: CommandMemory;
  readonly trust: Trust;
  readonly keysRefused: Refused | null;
}

export type CommandVerdict =
  | (Standing & {
      /** To be carried out, after `memory` was stored: there it is ACCEPTED. */
      readonly verdict: 'run';
      readonly command: Command;
      readonly signers: readonly string[];
      readonly conditions: readonly 'ClockUntrusted'[];
    })
  /** It came before: what became of it is to be said again. */
  | (Standing & { readonly verdict: 'repeat'; readonly result: CommandResult })
  | (Standing & {
      /** `ignore`: nobody waits for an answer. */
      readonly verdict: 'ignore' | 'refuse';
      readonly reason: Reason;
      readonly message: string;
      readonly hint: string | null;
      /** Of a command that is properly signed and for this device, to answer REJECTED to; else null. */
      readonly id: string | null;
    });

const TERMINAL: ReadonlySet<CommandState> = new Set([
  'SUCCEEDED',
  'FAILED',
  'REJECTED',
  'TIMED_OUT',
  'CANCELED',
]);
const MAX_RESULTS = 256;
const MAX_DETAIL_CHARS = 1_024;

/**
 * Judges the payload of `R/v1/D/cmd`, in this order: 1 the retain flag, 2 form, and the keys that came along,
 * 3 signatures, 4 shape, 5 audience, 6 whether it came before, 7 time, 8 counter. Never throws for what was sent.
 */
export function admitCommand(
  memory: CommandMemory,
  bytes: Uint8Array,
  retained: boolean,
  trust: Trust,
  circumstances: Circumstances,
): CommandVerdict {
  let standing: Standing = { memory, trust, keysRefused: null };
  let id: string | null = null;
  try {
    if (retained) throw new Refused('retained', 'a command that a broker keeps would come again and again');
    const envelope = readEnvelope(bytes);
    const followed = followKeys(trust, envelope.keys, circumstances);
    standing = { memory, trust: followed.trust, keysRefused: followed.refused };
    needType(envelope, 'command');
    const signers = signersOf(envelope, needRing(followed.trust.ring), 'command');
    const command = readDocument(envelope.body, checkCommand);
    if (!isFor(command.aud, circumstances))
      throw new Refused('wrong_audience', `it is not for "${circumstances.device}"`);
    id = command.id;
    const digest = sha256(envelope.body);
    const result = memory.results.find((one) => one.id === id);
    if (result !== undefined) return repeat(result, digest, standing);
    needTimely(command, memory, circumstances);
    const next = accept(memory, command, digest, signers);
    const conditions = circumstances.clockTrusted ? [] : (['ClockUntrusted'] as const);
    return { ...standing, verdict: 'run', memory: next, command, signers, conditions };
  } catch (error) {
    return turnDown(error, standing, id);
  }
}

/**
 * The memory after `state` of a command was reached. What is final stays; an id that is not remembered changes nothing.
 * A long `detail` is cut: it is there to be said again, not to keep answers.
 */
export function settle(
  memory: CommandMemory,
  id: string,
  { state, reason, detail }: Pick<CommandResult, 'state' | 'reason' | 'detail'>,
): CommandMemory {
  const results = memory.results.map((one) =>
    one.id !== id || TERMINAL.has(one.state)
      ? one
      : { ...one, state, reason, detail: detail?.slice(0, MAX_DETAIL_CHARS) ?? null },
  );
  return { ...memory, results };
}

/** Commands that the process before this one has begun, or had still to begin. */
export function unfinished(memory: CommandMemory): readonly CommandResult[] {
  return memory.results.filter(({ state }) => !TERMINAL.has(state));
}

function needRing(ring: Keyring | null): Keyring {
  if (ring === null) throw new Refused('no_keys', 'this device has no keys, and takes no orders');
  return ring;
}

function repeat(result: CommandResult, digest: string, standing: Standing): CommandVerdict {
  if (result.digest === digest) return { ...standing, verdict: 'repeat', result };
  throw new Refused('forked', `another command has had the id "${result.id}"`);
}

function needTimely(command: Command, memory: CommandMemory, circumstances: Circumstances): void {
  needBegun(command.nbf, circumstances);
  needUnexpired(command.exp, circumstances);
  if (command.exp > memory.forgottenUntil) return;
  throw new Refused(
    'forgotten',
    'nobody knows any more whether it was carried out',
    'Send it anew, with a later expiry.',
  );
}

/** Throws Refused `low_counter`. */
function accept(
  memory: CommandMemory,
  { id, exp, ctr }: Command,
  digest: string,
  signers: readonly string[],
): CommandMemory {
  const highest = Math.max(0, ...signers.map((signer) => memory.counters[signer] ?? 0));
  if (ctr <= highest)
    throw new Refused('low_counter', `its counter is ${ctr}, and ${highest} was there before`);
  const raised = Object.fromEntries(signers.map((signer) => [signer, ctr]));
  const entry: CommandResult = { id, digest, exp, state: 'ACCEPTED', reason: null, detail: null };
  const counters = { ...memory.counters, ...raised };
  return forget({ ...memory, results: [...memory.results, entry], counters });
}

/** Over the bound one of those before goes: of the finished ones that which expires first, since it came longest ago. */
function forget(memory: CommandMemory): CommandMemory {
  if (memory.results.length <= MAX_RESULTS) return memory;
  const before = memory.results.slice(0, -1);
  const finished = before.filter(({ state }) => TERMINAL.has(state));
  const candidates = finished.length > 0 ? finished : before;
  const first = candidates.reduce((least, one) => (one.exp < least.exp ? one : least));
  const results = memory.results.filter((one) => one !== first);
  return { ...memory, results, forgottenUntil: Math.max(memory.forgottenUntil, first.exp) };
}

function turnDown(error: unknown, standing: Standing, id: string | null): CommandVerdict {
  if (!(error instanceof Refused)) throw error;
  const { reason, message, hint } = telling(error, standing.keysRefused);
  return { ...standing, verdict: reason === 'retained' ? 'ignore' : 'refuse', reason, message, hint, id };
}
