/** Checks of bodies and queries: what is wrong becomes a FieldError that names the field. */
import type { Static, TSchema } from 'typebox';
import { type CheckOptions, checker, type Problem } from '../validation.ts';
import { FieldError } from './errors.ts';
import { needUnicode } from './unicode.ts';

export type Check<S extends TSchema> = (value: unknown) => Static<S>;

/** A function that returns the body, typed, or throws a FieldError. Its texts are whole Unicode, and not nested without end. */
export function bodyCheck<S extends TSchema>(schema: S): Check<S> {
  const checked = shapeCheck(schema);
  return (value) => {
    const body = checked(value);
    needUnicode(body);
    return body;
  };
}

/** The same without a look at texts: for bodies whose elements are checked where they are read. */
export function shapeCheck<S extends TSchema>(schema: S): Check<S> {
  return check(schema, { subject: 'the body' });
}

/** Query strings have no numbers: theirs are made of text. */
export function queryCheck<S extends TSchema>(schema: S): Check<S> {
  return check(schema, { subject: 'the query', coerce: true });
}

function check<S extends TSchema>(schema: S, options: CheckOptions): Check<S> {
  const checked = checker(schema, options);
  return (value) => {
    if (value === undefined || value === null) {
      throw new FieldError('bad_input', '', `${options.subject} is missing`, 'Send a JSON object.');
    }
    const result = checked(value);
    if (result.problem !== null) throw toFieldError(result.problem);
    return result.value;
  };
}

function toFieldError({ kind, field, message, hint }: Problem): FieldError {
  if (kind !== 'unknown') return new FieldError('bad_input', field, message, hint ?? undefined);
  const why = 'Fields that would be ignored are refused.';
  return new FieldError('unknown_field', field, message, hint === null ? why : `${hint} ${why}`);
}
