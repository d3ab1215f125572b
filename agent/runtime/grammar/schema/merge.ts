/** Terms that must all hold, as one. */
import { isArray, isObject, type Json } from './json.ts';
import { refusal } from './refusal.ts';
import type { Bound, Terms, Type } from './terms.ts';

/** null: nothing can satisfy both. Throws `bad_input` where there is no one form for what both say. */
export function merge(a: Terms, b: Terms, place: string): Terms | null {
  const types = bothTypes(a.types, b.types);
  const values = bothValues(a.values, b.values);
  if (types?.size === 0 || values?.length === 0) return null;
  return {
    types,
    values,
    ...objects(a, b),
    ...lists(a, b, place),
    leastChars: Math.max(a.leastChars, b.leastChars),
    mostChars: Math.min(a.mostChars, b.mostChars),
    pattern: either('pattern', a, b, place),
    format: either('format', a, b, place),
    minimum: tighter(a.minimum, b.minimum, 1),
    maximum: tighter(a.maximum, b.maximum, -1),
    multipleOf: either('multipleOf', a, b, place),
    about: new Set([...a.about, ...b.about]),
  };
}

function bothTypes(a: ReadonlySet<Type> | null, b: ReadonlySet<Type> | null): ReadonlySet<Type> | null {
  if (a === null || b === null) return a ?? b;
  const both = new Set([...a].filter((type) => b.has(type)));
  const narrow = (one: ReadonlySet<Type>, other: ReadonlySet<Type>): boolean =>
    one.has('integer') && other.has('number');
  if (narrow(a, b) || narrow(b, a)) both.add('integer');
  return both;
}

function bothValues(a: readonly Json[] | null, b: readonly Json[] | null): readonly Json[] | null {
  if (a === null || b === null) return a ?? b;
  const texts = new Set(b.map(canonical));
  return a.filter((value) => texts.has(canonical(value)));
}

/** By value, for as long as the schema is there: references and combinations ask for the same ones again and again. */
const canonicalTexts = new WeakMap<object, string>();

/** Equal for equal values, in whatever order their properties are. */
export function canonical(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const text = canonicalTexts.get(value) ?? canonicalText(value);
  canonicalTexts.set(value, text);
  return text;
}

function canonicalText(value: Json): string {
  return JSON.stringify(value, (_, inner: Json) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([x], [y]) => (x < y ? -1 : 1)))
      : inner,
  );
}

function objects(a: Terms, b: Terms) {
  const properties = new Map<string, Json>();
  for (const name of [...a.properties.keys(), ...b.properties.keys()]) {
    properties.set(
      name,
      all(a.properties.get(name) ?? a.additional, b.properties.get(name) ?? b.additional) ?? true,
    );
  }
  return {
    properties,
    required: new Set([...a.required, ...b.required]),
    additional: all(a.additional, b.additional),
    leastProperties: Math.max(a.leastProperties, b.leastProperties),
    mostProperties: Math.min(a.mostProperties, b.mostProperties),
  };
}

function lists(a: Terms, b: Terms, place: string) {
  if (a.prefix !== null && (b.prefix !== null || b.items !== null)) throw twice('prefixItems', place);
  if (b.prefix !== null && a.items !== null) throw twice('prefixItems', place);
  return {
    prefix: a.prefix ?? b.prefix,
    items: all(a.items, b.items),
    leastItems: Math.max(a.leastItems, b.leastItems),
    mostItems: Math.min(a.mostItems, b.mostItems),
  };
}

/** A schema that asks for both; null: neither says anything. */
function all(a: Json | null, b: Json | null): Json | null {
  if (a === null || b === null) return a ?? b;
  if (a === true || a === b) return b;
  return b === true ? a : { allOf: [...new Set([...parts(a), ...parts(b)])] };
}

function parts(schema: Json): readonly Json[] {
  const inner = isObject(schema) && Object.keys(schema).length === 1 ? schema['allOf'] : undefined;
  return isArray(inner) ? inner : [schema];
}

function either<K extends 'pattern' | 'format' | 'multipleOf'>(
  key: K,
  a: Terms,
  b: Terms,
  place: string,
): Terms[K] {
  if (a[key] !== null && b[key] !== null && a[key] !== b[key]) throw twice(key, place);
  return a[key] ?? b[key];
}

function twice(keyword: string, place: string): Error {
  return refusal(place, `two different "${keyword}" for one value are not supported`);
}

/** `sign` is 1 for the lower bound and -1 for the upper one. */
function tighter(a: Bound | null, b: Bound | null, sign: 1 | -1): Bound | null {
  if (a === null || b === null) return a ?? b;
  if (a.value === b.value) return a.exclusive ? a : b;
  return sign * (a.value - b.value) > 0 ? a : b;
}
