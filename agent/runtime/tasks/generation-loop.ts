/** One answer: the prompt goes in in pieces, tokens come out one by one, and somebody may end it between two steps. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Answer } from '../../ports.ts';
import type { TaskRun } from '../task.ts';
import type { Sequence } from './generation-decoder.ts';
import type { Sampler } from './generation-sampler.ts';
import type { StopScanner } from './generation-stop.ts';
import type { TextStream } from './generation-tokens.ts';

/** Tokens of a prompt in one step: bounds how late a cancel is seen, and the logits that the runtime holds. */
export const PREFILL_TOKENS = 128;

export interface Generation {
  readonly sequence: Pick<Sequence, 'append' | 'predict'>;
  readonly sampler: Sampler;
  readonly text: TextStream;
  readonly stops: StopScanner;
  /** At least one. */
  readonly prompt: readonly number[];
  readonly endIds: ReadonlySet<number>;
  /** Most tokens of the answer. */
  readonly limit: number;
}

type TextAnswer = Extract<Answer, { kind: 'text' }>;

/**
 * Resolves with the whole answer; its pieces went through `run.onDelta`. Tokens that end it are not counted. Between
 * two steps the event loop turns, so that the message that cancels the run can arrive.
 */
export async function generate(generation: Generation, run: TaskRun): Promise<TextAnswer> {
  const { prompt } = generation;
  const said: string[] = [];
  const say = (piece: string): void => {
    if (piece === '') return;
    said.push(piece);
    run.onDelta(piece);
  };
  const { finish, outputTokens } = await speak(generation, run, say);
  say(ending(generation, finish));
  return { kind: 'text', text: said.join(''), finish, inputTokens: prompt.length, outputTokens };
}

async function speak(
  generation: Generation,
  run: TaskRun,
  say: (piece: string) => void,
): Promise<Pick<TextAnswer, 'finish' | 'outputTokens'>> {
  const { sequence, sampler, text, stops, endIds, limit } = generation;
  let next = await prefill(generation, run);
  for (let outputTokens = 0; ; outputTokens += 1) {
    await nextTurn();
    if (run.cancelled()) return { finish: 'cancelled', outputTokens };
    if (outputTokens === limit) return { finish: 'length', outputTokens };
    const id = sampler.next(await timed(run, sequence.predict(next)));
    if (endIds.has(id)) return { finish: 'stop', outputTokens };
    say(stops.push(text.push(id)));
    if (stops.stopped) return { finish: 'stop', outputTokens: outputTokens + 1 };
    next = [id];
  }
}

/** Puts in all of the prompt but its last piece, which it returns. Ends early when the run is cancelled. */
async function prefill({ prompt, sequence }: Generation, run: TaskRun): Promise<readonly number[]> {
  const last = PREFILL_TOKENS * (Math.ceil(prompt.length / PREFILL_TOKENS) - 1);
  for (let from = 0; from < last && !run.cancelled(); from += PREFILL_TOKENS) {
    await timed(run, sequence.append(prompt.slice(from, from + PREFILL_TOKENS)));
    await nextTurn();
  }
  return prompt.slice(last);
}

/**
 * What was held back until the end. Half a character is dropped where the answer was cut, and kept (as U+FFFD) where
 * the model chose to end there.
 */
function ending({ text, stops }: Generation, finish: TextAnswer['finish']): string {
  if (stops.stopped) return '';
  return (finish === 'stop' ? stops.push(text.rest()) : '') + stops.rest();
}

async function timed<T>(run: TaskRun, work: Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work;
  run.spent('run', performance.now() - startMs);
  return result;
}
