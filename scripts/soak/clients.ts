/** Clients that ask, wait, leave, and come back where they are told to. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../test/experts-made/random.ts';
import { ask, type Outcome, type Question } from './conversation.ts';
import type { Disturber } from './disturber.ts';
import type { Gate } from './gate.ts';
import { type Golden, type Goldens, MAX_TOKENS } from './goldens.ts';
import type { SoakedAgent } from './soaked-agent.ts';
import { count, type Tally } from './tally.ts';
import { type Turn, Workload } from './workload.ts';

export interface ClientOptions {
  readonly agent: SoakedAgent;
  readonly goldens: Goldens;
  readonly disturber: Disturber;
  readonly gate: Gate;
  readonly tally: Tally;
  /** True when no more is to be asked. */
  readonly isOver: () => boolean;
}

type Failed = Extract<Outcome, { kind: 'failed' }>;

/** Failures that a killed process explains, if it was killed while the request was under way. */
const KILLED = new Set(['cell_exited', 'load_failed']);
/** Refusals that pressure explains: the client comes back after the time that it was told. */
const PRESSED = new Set(['pressure', 'loading']);
const MOST_RETRIES = 10;
/** A cell that was killed while it loaded is started again with back-off, and memory that was short is read with delay. */
const GRACE_MS = 8_000;
/** Long enough to be left in the middle. */
const LONG_TOKENS = 32;

export async function runClient(options: ClientOptions, seed: number): Promise<void> {
  const { gate, goldens, isOver } = options;
  const random = new Random(seed);
  const experts = [...goldens.byExpert.keys()];
  const prompts = Math.max(...[...goldens.byExpert.values()].map((one) => one.length));
  const workload = new Workload(experts, prompts, random);
  while (!isOver()) await gate.pass(() => take(options, workload.next()));
}

/** Asks every expert once. */
export async function askAll(options: ClientOptions): Promise<void> {
  for (const expert of options.goldens.byExpert.keys())
    await take(options, { expert, prompt: 0, course: 'stay', patience: 0 });
}

async function take(options: ClientOptions, { expert, prompt, course, patience }: Turn): Promise<void> {
  const { agent, goldens, tally } = options;
  const all = goldens.byExpert.get(expert) ?? [];
  const golden = all[prompt % all.length];
  if (golden === undefined) throw new Error(`${expert} has no golden answer`);
  const question = { url: agent.url, expert, text: golden.text, maxTokens: MAX_TOKENS, endless: false };
  if (course === 'stay') return await insist(options, question, golden);
  const long = { ...question, maxTokens: LONG_TOKENS, endless: course === 'leave-speaking' };
  const leaving = course === 'leave-waiting' ? { afterMs: patience } : { afterPieces: patience };
  const sinceMs = performance.now();
  const outcome = await ask(long, leaving);
  // Who meant to leave heard all of it before: the answer was longer than the golden one, and is not compared.
  if (outcome.kind === 'answered') tally.answer(expert, outcome, null);
  else if (outcome.kind === 'left') tally.leave(outcome.residency);
  else if (!(await isExcused(options, outcome, sinceMs))) tally.fail(expert, outcome);
}

/** Until it is answered, or fails for no reason that we gave. */
async function insist(options: ClientOptions, question: Question, golden: Golden): Promise<void> {
  const { tally, isOver } = options;
  const { expert } = question;
  for (let retry = 0; ; retry++) {
    const sinceMs = performance.now();
    const outcome = await ask(question);
    if (outcome.kind === 'answered') return tally.answer(expert, outcome, golden);
    if (outcome.kind === 'left') return tally.leave(outcome.residency);
    if (retry >= MOST_RETRIES || !(await isExcused(options, outcome, sinceMs)))
      return tally.fail(expert, outcome);
    if (isOver()) return;
    await sleep(outcome.retryAfterMs ?? 0);
  }
}

/** Counts what we did on purpose. */
async function isExcused(
  options: ClientOptions,
  { code, message, retryAfterMs }: Failed,
  sinceMs: number,
): Promise<boolean> {
  const { disturber, tally } = options;
  const nowMs = performance.now();
  if (KILLED.has(code) && disturber.overlaps(['kill'], sinceMs, nowMs, GRACE_MS)) {
    count(tally.killed, code);
    return true;
  }
  // The last straw may have come long before somebody asks.
  if (
    code === 'quarantined' &&
    message.includes('SIGKILL') &&
    disturber.overlaps(['kill'], 0, nowMs, Infinity)
  ) {
    count(tally.killed, code);
    await disturber.clear();
    return true;
  }
  const isPressed = PRESSED.has(code) && retryAfterMs !== null;
  if (!isPressed || !disturber.overlaps(['hog', 'budget'], sinceMs, nowMs, GRACE_MS)) return false;
  count(tally.deferred, code);
  return true;
}
