/** From a reply to the text that a client gets, in the form that it asked for. */
import type { TextFormat } from '../generation.ts';
import type { Answer } from '../ports.ts';
import type { ExpertView, Reply } from '../service.ts';
import type { ExpertId, Failure, Task } from '../types.ts';
import type { Blame, Dispatch } from './dispatch.ts';
import { FieldError } from './errors.ts';
import { wordAbstention, wordAnswer } from './wording.ts';

/** Tasks whose experts answer questions and have no language of their own to do it in. */
const SET_FORMS: ReadonlySet<Task> = new Set(['text-classification', 'token-classification', 'retrieval']);

/** What a request says of the form of its answer, and in which field. */
export interface Wanted {
  readonly format: TextFormat;
  /** `response_format`, or `format`. */
  readonly formatField: string;
  /** The field that holds what is asked. */
  readonly promptField: string;
}

/** The text. Throws a FieldError where a schema was wanted and who answers has no language to follow it. */
export function contentOf({ service }: Dispatch, wanted: Wanted, reply: Reply): string {
  const { answer, expert, degraded } = reply;
  const experts = service.experts();
  const { format } = wanted;
  const form = format.kind === 'text' ? 'text' : 'json';
  if (format.kind === 'json-schema' && answer?.kind !== 'text')
    throw noSchema(wanted, schemaless(expert, degraded));
  if (answer === null) return wordAbstention(experts, form, reply.language ?? null);
  // A language model was held to the form while it spoke; where its tokens ran out, it is for the client to see.
  const isModels = answer.kind === 'text' && !isSetForm(experts.find(({ id }) => id === expert));
  return isModels ? answer.text : wordAnswer(answer, form);
}

/** Refuses, before anything is loaded, what `contentOf` would refuse afterwards. */
export function checkFormat(dispatch: Dispatch, model: ExpertId | null, wanted: Wanted): void {
  if (wanted.format.kind === 'json-schema' && isSetForm(dispatch.viewOf(model) ?? undefined))
    throw noSchema(wanted, schemaless(model, undefined));
}

/** The fields at fault for what the core, or a cell, refuses in a request for text. */
export function blameOf({ format, formatField, promptField }: Wanted): Blame {
  return ({ code, message }: Failure) => {
    if (code === 'context_overflow') return promptField;
    if (code !== 'bad_input') return null;
    if (message.includes('logit_bias')) return 'logit_bias';
    return format.kind === 'json-schema' && /schema/i.test(message) ? formatField : null;
  };
}

/** Why a reply ended. Clients know no third reason: a text that was cut off, by whatever it was, is one of `length`. */
export function finishOf(answer: Answer | null): 'stop' | 'length' {
  return answer?.kind === 'text' && answer.finish !== 'stop' ? 'length' : 'stop';
}

/** It says what it says, whatever form is wanted: nor does a language model speak for it. */
function isSetForm(view: ExpertView | undefined): boolean {
  if (view === undefined || view.task === null) return false;
  return SET_FORMS.has(view.task) && (view.base ?? null) === null;
}

function schemaless(expert: ExpertId | null, degraded: string | undefined): string {
  if (expert === null) return 'no expert is confident, and what is said then has a form of its own';
  if (degraded === undefined) return `"${expert}" is no language model`;
  return `"${expert}" can only answer with its sources now (${degraded})`;
}

function noSchema({ formatField }: Wanted, why: string): FieldError {
  const message = `a JSON schema in "${formatField}" cannot be kept: ${why}`;
  const hint = 'Name a language model as the model, or ask for JSON without a schema.';
  return new FieldError('unsupported_field', formatField, message, hint);
}
