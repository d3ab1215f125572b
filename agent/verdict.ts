/** What comes of holding an answer to the one that was expected. */
import type { Static, TSchema } from 'typebox';
import type { Answer } from './ports.ts';
import { checker } from './validation.ts';

export type Verdict =
  | { readonly kind: 'same' }
  /** `difference` is a clause to follow "asked so and so,". */
  | { readonly kind: 'different'; readonly difference: string }
  | Unjudged;

/** Nobody here can say whether the answer is the one that was expected. */
export interface Unjudged {
  readonly kind: 'unjudged';
  readonly why: string;
}

export type Judge = (expected: unknown, answer: Answer) => Verdict;

export const SAME: Verdict = { kind: 'same' };

export function different(difference: string): Verdict {
  return { kind: 'different', difference };
}

export function unjudged(why: string): Unjudged {
  return { kind: 'unjudged', why };
}

/** Holds answers of one kind to outputs of one form. An output of any other form is not judged. */
export function judging<S extends TSchema, K extends Answer['kind']>(
  form: S,
  kind: K,
  judge: (expected: Static<S>, answer: Extract<Answer, { kind: K }>) => Verdict,
): Judge {
  const check = checker(form, { subject: 'the output' });
  return (expected, answer) => {
    const { value, problem } = check(expected);
    if (problem !== null) return unjudged(`its output is of no form that is known here: ${problem.message}`);
    return isOfKind(answer, kind) ? judge(value, answer) : different(`it answers with ${answer.kind}`);
  };
}

function isOfKind<K extends Answer['kind']>(answer: Answer, kind: K): answer is Extract<Answer, { kind: K }> {
  return answer.kind === kind;
}

/** Most characters of a text that a sentence shows, and how many of them stand before what it is about. */
const SHOWN_CHARS = 160;
const LEAD_CHARS = 40;

/** The text in quotation marks, cut to what is around the character `at`. */
export function quoted(text: string, at = 0): string {
  const start = text.length <= SHOWN_CHARS ? 0 : Math.max(0, at - LEAD_CHARS);
  const end = start + SHOWN_CHARS;
  const before = start > 0 ? '...' : '';
  return JSON.stringify(`${before}${text.slice(start, end)}${end < text.length ? '...' : ''}`);
}

/** A number as a sentence shows it: as many digits as a float32 is good for. */
export function figure(value: number): string {
  return String(Number(value.toPrecision(7)));
}
