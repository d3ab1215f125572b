/** Generations over the model that counts. */
import type { Piece } from '../../../agent/generation.ts';
import { Adjustment } from '../../../agent/runtime/generation/adjustment.ts';
import { Candidates } from '../../../agent/runtime/generation/candidates.ts';
import { Chances } from '../../../agent/runtime/generation/chances.ts';
import { Chooser } from '../../../agent/runtime/generation/chooser.ts';
import type { Constraint } from '../../../agent/runtime/generation/constraint.ts';
import { Conversations, contextWithin } from '../../../agent/runtime/generation/conversations.ts';
import { type Generating, generate, type Stage } from '../../../agent/runtime/generation/loop.ts';
import { Sampler } from '../../../agent/runtime/generation/sampler.ts';
import { Speech } from '../../../agent/runtime/generation/speech.ts';
import { StopScanner } from '../../../agent/runtime/generation/stop.ts';
import { TextStream } from '../../../agent/runtime/generation/tokens.ts';
import { Turns } from '../../../agent/runtime/generation/turns.ts';
import type { TaskRun } from '../../../agent/runtime/task.ts';
import { CountingModel, VOCABULARY } from './counting-model.ts';

export const END = 9;

/** One model with its conversations. Time is counted in tokens that went through it. */
export function staged(capacityBytes = 10_000) {
  const model = new CountingModel();
  const stage: Stage = {
    model,
    conversations: new Conversations(model, capacityBytes),
    turns: new Turns(() => model.steps.reduce((sum, { ids }) => sum + 10 + ids.length, 0)),
    contextTokens: contextWithin(model, capacityBytes, 10_000),
  };
  return { model, stage };
}

export interface Asked {
  readonly prompt: readonly number[];
  readonly limit?: number;
  readonly alike?: boolean;
  readonly stops?: readonly string[];
  readonly logprobs?: number;
  readonly constraint?: Constraint;
  readonly ends?: readonly number[];
}

const TEXTS = { decode: (ids: readonly number[]) => ids.join(''), bytesOf: () => null };
const PLAIN = { logitBias: [], repeatPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 };

export function asked(
  { prompt, limit = 100, alike = false, stops = [], logprobs, constraint, ends = [END] }: Asked,
  onPiece: (piece: Piece) => void = () => {},
): Generating {
  const chooser = new Chooser({
    adjustment: new Adjustment(PLAIN, prompt, new Float32Array(VOCABULARY)),
    sampler: new Sampler({ temperature: 0, topK: 0, topP: 1, minP: 0, seed: 0 }, new Candidates(VOCABULARY)),
    chances: logprobs === undefined ? null : new Chances(TEXTS, logprobs),
    constraint: constraint ?? null,
    endIds: new Set(ends),
  });
  const speech = new Speech(new TextStream(TEXTS.decode), new StopScanner(stops), onPiece);
  return { chooser, speech, prompt, limit, alike };
}

export const RUN: TaskRun = { cancelled: () => false, onDelta: () => {}, spent: () => {} };

export function speak(stage: Stage, what: Asked, run: Partial<TaskRun> = {}) {
  return generate(stage, asked(what), { ...RUN, ...run });
}
