/** Checks a value against a TypeBox schema, and says in words which field is wrong, why, and what would be right. */
import { Ajv, type ErrorObject } from 'ajv';
import type { Static, TSchema } from 'typebox';
import { didYouMean } from './nearest.ts';

export interface Problem {
  /** `messages[0].content`; empty for the whole value. */
  readonly field: string;
  /** A sentence that names the field. */
  readonly message: string;
  readonly hint: string | null;
  readonly kind: 'unknown' | 'missing' | 'invalid';
}

export type Checked<T> =
  | { readonly value: T; readonly problem: null }
  | { readonly value: null; readonly problem: Problem };
export type Checker<S extends TSchema> = (value: unknown) => Checked<Static<S>>;

export interface CheckOptions {
  /** What the value is called in a sentence: `the body`, `edge.config.json`. */
  readonly subject: string;
  /** Numbers and booleans may come as text (query strings). */
  readonly coerce?: boolean;
  /** Fills in the schema's defaults, in the value itself. */
  readonly fillDefaults?: boolean;
}

/** A function that checks values against `schema`, which it compiles at its first call. */
export function checker<S extends TSchema>(schema: S, options: CheckOptions): Checker<S> {
  let validate: ReturnType<typeof compile<S>> | null = null;
  return (value) => {
    validate ??= compile(schema, options);
    if (validate(value)) return { value, problem: null };
    return { value: null, problem: toProblem(validate.errors ?? [], options.subject, schema) };
  };
}

function compile<S extends TSchema>(schema: S, { coerce = false, fillDefaults = false }: CheckOptions) {
  // `strictTypes` would refuse a number in a union with text, which sizes like "300MB" are.
  const ajv = new Ajv({
    strict: true,
    strictTypes: false,
    messages: false,
    coerceTypes: coerce,
    useDefaults: fillDefaults,
  });
  return ajv.compile<Static<S>>(schema);
}

/**
 * Of the errors of all branches of a union, those at the deepest place count: the value is nearest to that branch.
 * Those of one kind become one sentence ("a string or an array").
 */
function toProblem(errors: readonly ErrorObject[], subject: string, schema: TSchema): Problem {
  const leaves = errors.filter((error) => error.keyword !== 'anyOf');
  const depth = Math.max(...leaves.map((error) => error.instancePath.split('/').length));
  const deepest = leaves.filter((error) => error.instancePath.split('/').length === depth);
  const first = deepest.find((error) => error.keyword !== 'type' && error.keyword !== 'const') ?? deepest[0];
  if (first === undefined)
    return { field: '', message: `${subject} is not valid`, hint: null, kind: 'invalid' };
  const path = fieldPath(first.instancePath);
  if (first.keyword === 'additionalProperties')
    return unknownField(path, first, knownFields(schema, first.instancePath));
  if (first.keyword === 'required') {
    const field = join(path, String(first.params['missingProperty']));
    return { field, message: `"${field}" is missing`, hint: null, kind: 'missing' };
  }
  const name = path === '' ? subject : `"${path}"`;
  return { field: path, message: `${name} must be ${wanted(first, deepest)}`, hint: null, kind: 'invalid' };
}

function unknownField(path: string, error: ErrorObject, fields: readonly string[]): Problem {
  const key = String(error.params['additionalProperty']).slice(0, 100);
  const field = join(path, key);
  const guess = didYouMean(key, fields).trim();
  return {
    field,
    message: `"${field}" is not a field that is known here`,
    hint: guess === '' ? null : guess,
    kind: 'unknown',
  };
}

/** The names of the fields that an object at this place of the value may have. */
function knownFields(schema: TSchema, pointer: string): string[] {
  let here: Record<string, unknown> | undefined = schema as unknown as Record<string, unknown>;
  for (const part of pointer.split('/').slice(1)) {
    const properties = here?.['properties'] as Record<string, Record<string, unknown>> | undefined;
    here = properties?.[part] ?? (here?.['items'] as Record<string, unknown> | undefined);
  }
  return Object.keys((here?.['properties'] as object | undefined) ?? {});
}

/** What would have been right, to follow "must be". */
function wanted(error: ErrorObject, siblings: readonly ErrorObject[]): string {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'type':
      return unique(
        siblings.filter(hasKeyword('type')).map((one) => withArticle(String(one.params['type']))),
      );
    case 'const':
      return unique(
        siblings.filter(hasKeyword('const')).map((one) => JSON.stringify(one.params['allowedValue'])),
      );
    case 'minimum':
      return `at least ${params['limit']}`;
    case 'maximum':
      return `at most ${params['limit']}`;
    case 'minLength':
      return 'a text that is not empty';
    case 'maxLength':
      return `a text of at most ${params['limit']} characters`;
    case 'minItems':
      return `a list of at least ${params['limit']}`;
    case 'maxItems':
      return `a list of at most ${params['limit']}`;
    case 'pattern':
      return `text of the form ${params['pattern']}`;
    default:
      return `valid (it breaks the rule "${error.keyword}")`;
  }
}

function hasKeyword(keyword: string): (error: ErrorObject) => boolean {
  return (error) => error.keyword === keyword;
}

function withArticle(type: string): string {
  if (type === 'null') return 'null';
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`;
}

function unique(words: readonly string[]): string {
  return [...new Set(words)].join(' or ');
}

/** `/messages/0/content` -> `messages[0].content`. */
function fieldPath(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : join(path, part)), '');
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
