/**
 * Golden answers: what the maker of an expert saw it answer, as `golden` of expert.json keeps it. `expertd add` writes
 * them, and a new version of an expert is held to them before it counts. Inputs and outputs by task:
 *
 *   feature-extraction    text -> {first: numbers its vector begins with, tolerance}
 *   text-classification   text -> {label, score, tolerance}; without a score, the label is all that counts
 *   token-classification  text -> the text as it becomes
 *   retrieval             question -> {title} of the first passage, found without an embedding as well as with one
 *   text-generation       question -> {text}: how the likeliest answer begins
 *   tensor                see golden-tensors.ts
 */
import { Type } from 'typebox';
import { chatAbout } from './asks.ts';
import { AS_MADE, type SaidToken } from './generation.ts';
import { askForTensors, judgeTensors } from './golden-tensors.ts';
import type { Answer, Ask } from './ports.ts';
import type { Task } from './types.ts';
import {
  different,
  figure,
  type Judge,
  judging,
  quoted,
  SAME,
  type Unjudged,
  type Verdict,
} from './verdict.ts';

export interface Golden {
  readonly input: string;
  readonly output: unknown;
}

/** An answer is known by its first words. */
const ANSWER_TOKENS = 16;
/** Figures that are kept of a vector, and how far those of another CPU may be away: its integer kernels round otherwise. */
const KEPT_NUMBERS = 8;
const TOLERANCE = 0.02;
/** A token is sure where it is e times as likely as the next: rounding does not turn that round. */
const SURE_LOGPROB = 1;

// ---- what is asked --------------------------------------------------------------------------------------------

/**
 * What an expert is asked for a golden answer. `embedding` is that of `input` in the embedder of a retrieval expert's
 * index; null: it has its words alone.
 */
export function askOfGolden(task: Task, input: string, embedding: Float32Array | null): Ask | Unjudged {
  if (task === 'tensor') return askForTensors(input);
  if (task === 'feature-extraction') return { kind: 'embeddings', texts: [input] };
  const generation = { ...AS_MADE, temperature: 0, maxTokens: ANSWER_TOKENS };
  return chatAbout(input, { embedding, generation });
}

/** The same, such that `goldenOutput` can tell of a text how sure each of its tokens is. */
export function askForGolden(task: Task, input: string): Ask | Unjudged {
  const ask = askOfGolden(task, input, null);
  return ask.kind === 'chat' ? { ...ask, generation: { ...ask.generation, logprobs: 2 } } : ask;
}

// ---- what is kept ---------------------------------------------------------------------------------------------

/** What is kept of an answer to `askForGolden`; null where it is not certain, or for the maker to write. */
export function goldenOutput(answer: Answer): unknown {
  switch (answer.kind) {
    case 'text': {
      const text = sureBeginning(answer);
      return text === '' ? null : { text };
    }
    case 'labels': {
      const [best] = answer.labels;
      return { label: best?.label, score: rounded(best?.score ?? 0), tolerance: TOLERANCE };
    }
    case 'embeddings': {
      const first = [...(answer.vectors[0] ?? [])].slice(0, KEPT_NUMBERS).map(rounded);
      return { first, tolerance: TOLERANCE };
    }
    default:
      return null;
  }
}

/**
 * The text up to the first token that was hardly likelier than another: from there on, another CPU may go the other way
 * and be as right.
 */
function sureBeginning({ text, tokens }: Extract<Answer, { kind: 'text' }>): string {
  const unsure = tokens.findIndex((token) => !isSure(token));
  if (unsure < 0) return text;
  const bytes = Buffer.concat(tokens.slice(0, unsure).map((token) => token.bytes));
  // As a stream: half a character at the end is none.
  const said = new TextDecoder().decode(bytes, { stream: true });
  // Some tokenizers write the space before the first word, and read none.
  return [said, said.trimStart()].find((beginning) => text.startsWith(beginning)) ?? text;
}

function isSure({ id, logprob, top }: SaidToken): boolean {
  return top.every((other) => other.id === id || logprob - other.logprob >= SURE_LOGPROB);
}

function rounded(value: number): number {
  return Number(value.toFixed(4));
}

// ---- how it is judged -----------------------------------------------------------------------------------------

const Tolerance = Type.Optional(Type.Number({ minimum: 0 }));
const VectorForm = Type.Object({ first: Type.Array(Type.Number(), { minItems: 1 }), tolerance: Tolerance });
const LabelForm = Type.Object({
  label: Type.String({ minLength: 1 }),
  score: Type.Optional(Type.Number()),
  tolerance: Tolerance,
});
const TitleForm = Type.Object({ title: Type.String({ minLength: 1 }) });
const BeginningForm = Type.Object({ text: Type.String({ minLength: 1 }) });

const JUDGES: Readonly<Record<Task, Judge>> = {
  'feature-extraction': judging(VectorForm, 'embeddings', ({ first, tolerance = TOLERANCE }, { vectors }) => {
    const [vector = new Float32Array()] = vectors;
    if (vector.length < first.length)
      return different(`its vector has ${vector.length} numbers, where ${first.length} are expected`);
    // Written so that what is no number is not near.
    const at = first.findIndex((value, place) => !(Math.abs(value - (vector[place] ?? 0)) <= tolerance));
    return at < 0
      ? SAME
      : different(`number ${at} of its vector is ${far(vector[at] ?? 0, first[at] ?? 0, tolerance)}`);
  }),
  'text-classification': judging(LabelForm, 'labels', (expected, { labels }) => {
    const { label, score, tolerance = TOLERANCE } = expected;
    const [best] = labels;
    const found = labels.find((one) => one.label === label);
    // Of two that are as likely, either may come first.
    if (best === undefined || found === undefined || best.score - found.score > tolerance) {
      const said = best === undefined ? 'nothing' : `${quoted(best.label)} (${figure(best.score)})`;
      return different(`its label is ${said}, where ${quoted(label)} is expected`);
    }
    if (score === undefined || Math.abs(found.score - score) <= tolerance) return SAME;
    return different(`the score of ${quoted(label)} is ${far(found.score, score, tolerance)}`);
  }),
  retrieval: judging(TitleForm, 'passages', ({ title }, { passages }) => {
    const [first] = passages;
    if (first?.title === title) return SAME;
    const found = first === undefined ? 'it finds nothing' : `it finds ${quoted(first.title)} first`;
    return different(`${found}, where ${quoted(title)} is expected`);
  }),
  'token-classification': judging(Type.String(), 'text', (expected, { text }) =>
    text === expected ? SAME : otherText(text, expected),
  ),
  // Whichever is longer must begin with the other; what ended by itself is not to be continued.
  'text-generation': judging(BeginningForm, 'text', ({ text: expected }, { text, finish }) => {
    const isCut = finish === 'length' && text !== '' && expected.startsWith(text);
    return isCut || text.startsWith(expected) ? SAME : otherText(text, expected);
  }),
  tensor: judgeTensors,
};

/** Holds the answer to what `askOfGolden` asks to the output that the maker of the expert saw. */
export function judgeGolden(task: Task, expected: unknown, answer: Answer): Verdict {
  return JUDGES[task](expected, answer);
}

function otherText(said: string, expected: string): Verdict {
  let at = 0;
  while (at < said.length && said[at] === expected[at]) at += 1;
  return different(`it says ${quoted(said, at)}, where ${quoted(expected, at)} is expected`);
}

function far(value: number, expected: number, tolerance: number): string {
  return `${figure(value)}, where ${figure(expected)} is expected (within ${figure(tolerance)})`;
}
