/**
 * Fields of requests that do nothing here, above all OpenAI's. One that would change the answer is refused by name, unless its
 * value asks for nothing; one that only describes the call is accepted. A field in no table is refused as unknown.
 * null means "not given", as it does to OpenAI.
 */
import { isDeepStrictEqual } from 'node:util';
import { didYouMean } from '../nearest.ts';
import { FieldError } from './errors.ts';

interface FieldRule {
  /** `any`: whatever it says makes no difference. Else: the values that ask for nothing. */
  readonly accepts: 'any' | readonly unknown[];
  /** Why, as a clause: shown where a value is refused. */
  readonly why: string;
}

export type FieldTable = Readonly<Record<string, FieldRule>>;

export const any = (why: string): FieldRule => ({ accepts: 'any', why });
export const only = (values: readonly unknown[], why: string): FieldRule => ({ accepts: values, why });

export const NO_TOOLS = 'experts do not call tools';
export const ONE_MODALITY = 'experts read and write text only';
const NOT_STORED = 'nothing is stored for later retrieval';

export const CHAT_FIELDS: FieldTable = {
  user: any('names the caller'),
  safety_identifier: any('names the caller'),
  metadata: any('labels for stored completions'),
  prompt_cache_key: any('a hint for caches elsewhere'),
  service_tier: any('a hint for billing'),
  store: only([false], NOT_STORED),
  n: only([1], 'one answer is given a request'),
  tools: only([[]], NO_TOOLS),
  tool_choice: only(['none', 'auto'], NO_TOOLS),
  parallel_tool_calls: any('without tools it has no meaning'),
  functions: only([[]], NO_TOOLS),
  function_call: only(['none', 'auto'], NO_TOOLS),
  modalities: only([['text']], ONE_MODALITY),
  audio: only([], ONE_MODALITY),
  prediction: only([], 'experts do not use predicted output'),
  reasoning_effort: only(['none'], 'experts do not reason before they answer'),
  verbosity: only(['medium'], 'experts have no such control'),
  web_search_options: only([], 'experts do not search the web'),
};

export const COMPLETION_FIELDS: FieldTable = {
  user: any('names the caller'),
  n: only([1], 'one answer is given a request'),
  best_of: only([1], 'one answer is given a request'),
  suffix: only([''], 'experts continue a text and do not fill gaps'),
};

export const STREAM_OPTION_FIELDS: FieldTable = {
  include_obfuscation: only([false], 'streams are not padded'),
};

/** Of messages: what clients send back that they got in a reply. */
export const MESSAGE_FIELDS: FieldTable = {
  name: any('names a speaker'),
  refusal: only([], 'experts do not refuse in a field of its own'),
  annotations: only([[]], 'experts do not annotate'),
  audio: only([], ONE_MODALITY),
  tool_calls: only([[]], NO_TOOLS),
  function_call: only([], NO_TOOLS),
};

export const EMBEDDING_FIELDS: FieldTable = {
  user: any('names the caller'),
  dimensions: only([], 'vectors have the length that the expert gives them'),
};

/**
 * Returns the object with the fields in `known` alone, without nulls. Throws a FieldError that names the first other
 * field whose value is not harmless. `path` leads to the object: ``, or `messages[2].`.
 */
export function screen(
  object: Readonly<Record<string, unknown>>,
  known: readonly string[],
  table: FieldTable,
  path = '',
): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(object)) {
    if (known.includes(key)) {
      if (value !== null) kept[key] = value;
      continue;
    }
    const rule = Object.hasOwn(table, key) ? table[key] : undefined;
    const field = `${path}${key.slice(0, 100)}`;
    if (rule === undefined) throw unknown(field, key, [...known, ...Object.keys(table)]);
    if (value === null || rule.accepts === 'any') continue;
    if (!rule.accepts.some((harmless) => isDeepStrictEqual(harmless, value))) throw unsupported(field, rule);
  }
  return kept;
}

/** Throws where there is no model: the error names the one that always works. */
export function needModel(body: Json): void {
  if (body['model'] !== undefined) return;
  throw new FieldError(
    'bad_input',
    'model',
    '"model" is missing',
    'Send "auto" to let the router choose an expert.',
  );
}

export type Json = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknown(field: string, key: string, names: readonly string[]): FieldError {
  const hint = `${didYouMean(key, names)} Fields that would be ignored are refused.`.trim();
  return new FieldError('unknown_field', field, `"${field}" is not a field of this request`, hint);
}

function unsupported(field: string, rule: FieldRule): FieldError {
  const values = rule.accepts === 'any' ? [] : rule.accepts.map((value) => JSON.stringify(value));
  const hint = values.length === 0 ? 'Leave it out.' : `Leave it out, or send ${values.join(' or ')}.`;
  return new FieldError('unsupported_field', field, `"${field}" is not supported: ${rule.why}`, hint);
}
