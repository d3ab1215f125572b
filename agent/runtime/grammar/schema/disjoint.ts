/** Whether no value can satisfy two schemas at once, as far as that is easy to see. */
import type { Json } from './json.ts';
import { canonical } from './merge.ts';
import type { Terms, Type } from './terms.ts';

/** `valuesOf` gives the only values that satisfy a schema, if it names them. */
export function areDisjoint(a: Terms, b: Terms, valuesOf: (schema: Json) => readonly Json[] | null): boolean {
  if (haveNoCommon(a.values, b.values)) return true;
  const [some, others] = [kinds(a), kinds(b)];
  if (some !== null && others !== null && !some.some((one) => others.some((other) => overlap(one, other))))
    return true;
  if (!isObjects(some) || !isObjects(others)) return false;
  for (const name of a.required) {
    const [one, other] = [a.properties.get(name), b.properties.get(name)];
    if (one === undefined || other === undefined || !b.required.has(name)) continue;
    if (haveNoCommon(valuesOf(one), valuesOf(other))) return true;
  }
  return false;
}

export function typeOf(value: Json): Type {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value as 'boolean' | 'string' | 'object';
}

/** Is each value of the one type or of the other also of both? An integer is a number. */
export function overlap(a: Type, b: Type): boolean {
  return a === b || (a === 'integer' && b === 'number') || (a === 'number' && b === 'integer');
}

function kinds({ values, types }: Terms): readonly Type[] | null {
  if (values !== null) return values.map(typeOf);
  return types === null ? null : [...types];
}

function isObjects(types: readonly Type[] | null): boolean {
  return types?.every((type) => type === 'object') ?? false;
}

function haveNoCommon(a: readonly Json[] | null, b: readonly Json[] | null): boolean {
  if (a === null || b === null) return false;
  const texts = new Set(a.map(canonical));
  return !b.some((value) => texts.has(canonical(value)));
}
