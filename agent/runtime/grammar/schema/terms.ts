/** The keywords of one schema object that say something of the value itself, checked and in one form. */
import { didYouMean } from '../../../nearest.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';
import { refusal, shown } from './refusal.ts';

export const TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'] as const;
export type Type = (typeof TYPES)[number];

export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
}

/** null: not said. Of `integer` and `number` only the wider is there. */
export interface Terms {
  readonly types: ReadonlySet<Type> | null;
  /** `enum` or `const`. */
  readonly values: readonly Json[] | null;
  readonly properties: ReadonlyMap<string, Json>;
  readonly required: ReadonlySet<string>;
  /** Schema of the properties that are not named. */
  readonly additional: Json | null;
  readonly leastProperties: number;
  readonly mostProperties: number;
  readonly prefix: readonly Json[] | null;
  readonly items: Json | null;
  readonly leastItems: number;
  readonly mostItems: number;
  readonly leastChars: number;
  readonly mostChars: number;
  readonly pattern: string | null;
  readonly format: string | null;
  readonly minimum: Bound | null;
  readonly maximum: Bound | null;
  readonly multipleOf: number | null;
  /** Types that one of the keywords is about. */
  readonly about: ReadonlySet<Type>;
}

export const NO_TERMS: Terms = {
  types: null,
  values: null,
  properties: new Map(),
  required: new Set(),
  additional: null,
  leastProperties: 0,
  mostProperties: Infinity,
  prefix: null,
  items: null,
  leastItems: 0,
  mostItems: Infinity,
  leastChars: 0,
  mostChars: Infinity,
  pattern: null,
  format: null,
  minimum: null,
  maximum: null,
  multipleOf: null,
  about: new Set(),
};

/** Keywords that `resolve.ts` follows. */
export const COMBINING = ['$ref', 'allOf', 'anyOf', 'oneOf'];
/** They say nothing of what is valid. */
const NOTES = new Set([
  ...['$schema', '$id', '$comment', '$defs', 'definitions', 'title', 'description', 'default', 'examples'],
  ...['example', 'deprecated', 'readOnly', 'writeOnly', 'contentEncoding', 'contentMediaType'],
  ...['contentSchema', 'discriminator', 'externalDocs', 'xml'],
]);

/** Two keywords of one schema may say them: `enum` and `const`, `minimum` and `exclusiveMinimum`. */
const TWOFOLD = ['values', 'minimum', 'maximum'] as const;

type Reader = (value: Json, at: Place, schema: JsonObject) => Partial<Terms>;
interface Place {
  readonly place: string;
  readonly keyword: string;
}

const READERS: Readonly<Record<string, readonly [about: readonly Type[], read: Reader]>> = {
  type: [[], (value, at, schema) => ({ types: typesOf(value, at, schema) })],
  nullable: [[], (value, at) => (typeof value === 'boolean' ? {} : bad(at, 'true or false'))],
  enum: [[], (value, at) => ({ values: list(value, at) })],
  const: [[], (value) => ({ values: [value] })],
  properties: [['object'], (value, at) => ({ properties: new Map(Object.entries(schemas(value, at))) })],
  required: [
    ['object'],
    (value, at) => ({ required: new Set(list(value, at).map((name) => text(name, at))) }),
  ],
  additionalProperties: [['object'], (value, at) => ({ additional: schema(value, at) })],
  propertyNames: [['object'], anyName],
  minProperties: [['object'], (value, at) => ({ leastProperties: size(value, at) })],
  maxProperties: [['object'], (value, at) => ({ mostProperties: size(value, at) })],
  prefixItems: [['array'], (value, at) => ({ prefix: list(value, at).map((one) => schema(one, at)) })],
  items: [['array'], (value, at) => ({ items: itemsOf(value, at) })],
  minItems: [['array'], (value, at) => ({ leastItems: size(value, at) })],
  maxItems: [['array'], (value, at) => ({ mostItems: size(value, at) })],
  uniqueItems: [['array'], notUnique],
  minLength: [['string'], (value, at) => ({ leastChars: size(value, at) })],
  maxLength: [['string'], (value, at) => ({ mostChars: size(value, at) })],
  pattern: [['string'], (value, at) => ({ pattern: text(value, at) })],
  format: [['string'], (value, at) => ({ format: text(value, at) })],
  minimum: [['number'], (value, at) => ({ minimum: { value: number(value, at), exclusive: false } })],
  exclusiveMinimum: [['number'], (value, at) => ({ minimum: { value: number(value, at), exclusive: true } })],
  maximum: [['number'], (value, at) => ({ maximum: { value: number(value, at), exclusive: false } })],
  exclusiveMaximum: [['number'], (value, at) => ({ maximum: { value: number(value, at), exclusive: true } })],
  multipleOf: [['number'], (value, at) => ({ multipleOf: number(value, at) })],
};

/**
 * The terms of a schema object: all of them must hold. More than one only where two keywords bound the same. Throws
 * `bad_input` for a keyword that is not known here or whose value makes no sense; those of `COMBINING` are passed over.
 */
export function readTerms(schema: JsonObject, place: string): readonly Terms[] {
  let terms = NO_TERMS;
  const further: Terms[] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    const reader = Object.hasOwn(READERS, keyword) ? READERS[keyword] : undefined;
    if (reader === undefined) checkPassedOver(keyword, place);
    else {
      const [about, read] = reader;
      const said = read(value, { place, keyword }, schema);
      const isSecond = TWOFOLD.some((key) => key in said && terms[key] !== null);
      if (isSecond) further.push({ ...NO_TERMS, ...said });
      else terms = { ...terms, ...said, about: new Set([...terms.about, ...about]) };
    }
  }
  return [terms, ...further];
}

function checkPassedOver(keyword: string, place: string): void {
  if (keyword === '$id' && place !== '#') {
    throw refusal(
      place,
      'the keyword "$id" below the top is not supported',
      'Use $ref into the $defs at the top.',
    );
  }
  if (NOTES.has(keyword) || COMBINING.includes(keyword) || keyword.startsWith('x-')) return;
  throw unknown(keyword, place);
}

function unknown(keyword: string, place: string): Error {
  const known = [...Object.keys(READERS), ...COMBINING, ...NOTES];
  const guess = didYouMean(keyword, known).trim();
  return refusal(place, `the keyword "${shown(keyword)}" is not supported`, guess === '' ? null : guess);
}

function typesOf(value: Json, at: Place, schema: JsonObject): ReadonlySet<Type> {
  const names = (isArray(value) ? value : [value]).map((name) => text(name, at));
  const types = new Set<Type>();
  for (const name of names) {
    const type = TYPES.find((one) => one === name);
    if (type === undefined)
      throw refusal(at.place, `"${shown(name)}" is no type`, didYouMean(name, TYPES).trim() || null);
    types.add(type);
  }
  // OpenAPI's way to say it.
  if (schema['nullable'] === true) types.add('null');
  if (types.has('number')) types.delete('integer');
  return types;
}

function itemsOf(value: Json, at: Place): Json {
  if (!isArray(value)) return schema(value, at);
  throw refusal(at.place, '"items" is a list', 'A list of schemas is "prefixItems" since draft 2020-12.');
}

/** Names can be any text here. */
function anyName(value: Json, at: Place): Partial<Terms> {
  if (
    value === true ||
    (isObject(value) && (JSON.stringify(value) === '{"type":"string"}' || JSON.stringify(value) === '{}'))
  )
    return {};
  throw refusal(at.place, '"propertyNames" other than {"type": "string"} is not supported');
}

function notUnique(value: Json, at: Place): Partial<Terms> {
  if (value === false) return {};
  throw refusal(
    at.place,
    '"uniqueItems" is not supported',
    'Leave it out, and drop repeated items from the answer.',
  );
}

function schema(value: Json, at: Place): Json {
  return typeof value === 'boolean' || isObject(value) ? value : bad(at, 'a schema');
}

function schemas(value: Json, at: Place): JsonObject {
  if (!isObject(value)) return bad(at, 'an object of schemas');
  for (const one of Object.values(value)) schema(one, at);
  return value;
}

function list(value: Json, at: Place): readonly Json[] {
  return isArray(value) ? value : bad(at, 'a list');
}

function text(value: Json, at: Place): string {
  return typeof value === 'string' ? value : bad(at, 'text');
}

function number(value: Json, at: Place): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : bad(at, 'a number');
}

function size(value: Json, at: Place): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : bad(at, 'a size (0, 1, 2, ...)');
}

function bad({ place, keyword }: Place, wanted: string): never {
  throw refusal(place, `the value of "${keyword}" is not ${wanted}`);
}
