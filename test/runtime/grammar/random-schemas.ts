/** Random schemas for property tests: most of them can be kept, many are contradictory or recursive. */
import fc from 'fast-check';

type Schema = Record<string, unknown> | boolean;

const NAMES = ['a', 'b', 'ab', 'name', 'ä', 'say "x"', '', 'äb', '🙂'];
const size = fc.integer({ min: 0, max: 5 });
const bound = fc.oneof(
  fc.integer({ min: -120, max: 120 }),
  fc.double({ min: -9, max: 9, noNaN: true }),
  fc.constant(1e-7),
);
const PATTERNS = [
  '^a+$',
  '^[a-c]{2,4}$',
  'b',
  '^(ab|cd)*$',
  '^\\d{3}-\\w$',
  '[^a]',
  '^.{0,3}$',
  '^"\\\\$',
  '^ä?🙂$',
  '^\\s\\S|x$',
];
const scalar = fc.oneof(
  fc.constantFrom('x', 'alpha', 'say "x"', 'ä🙂', '', 'a\n'),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
);
const value = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 2 }),
  fc.dictionary(fc.constantFrom(...NAMES), scalar, { maxKeys: 2 }),
);

/** Leaves out keywords at random. */
function some(keywords: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(keywords, { requiredKeys: [] });
}

function typed(type: unknown, keywords: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Schema> {
  return some(keywords).map((one) => ({ type, ...one }));
}

export const randomSchema: fc.Arbitrary<Schema> = fc.letrec<{ schema: Schema; leaf: Schema }>((tie) => ({
  leaf: fc.oneof(
    typed('string', { minLength: size, maxLength: size }),
    fc.constantFrom(...PATTERNS).map((pattern) => ({ type: 'string', pattern })),
    fc.tuple(fc.constantFrom(...PATTERNS), size, size).map(([pattern, minLength, most]) => ({
      ...{ type: 'string', pattern, minLength, maxLength: minLength + most },
    })),
    typed('integer', {
      minimum: bound,
      maximum: bound,
      exclusiveMinimum: bound,
      multipleOf: fc.integer({ min: 1, max: 12 }),
    }),
    typed('number', { minimum: bound, maximum: bound, exclusiveMaximum: bound }),
    fc.constantFrom<Schema>(
      { type: 'boolean' },
      { type: 'null' },
      true,
      false,
      {},
      { type: ['string', 'null'] },
    ),
    fc.array(value, { minLength: 1, maxLength: 4 }).map((values) => ({ enum: values })),
    value.map((one) => ({ const: one })),
    fc.constantFrom<Schema>({ $ref: '#/$defs/one' }, { $ref: '#/$defs/two' }, { $ref: '#' }),
  ),
  schema: fc.oneof(
    { depthSize: 'small', maxDepth: 3, withCrossShrink: true },
    tie('leaf'),
    typed('object', {
      properties: fc.dictionary(fc.constantFrom(...NAMES), tie('schema'), { maxKeys: 4 }),
      required: fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 3 }),
      additionalProperties: tie('schema'),
    }),
    typed('array', { items: tie('schema'), minItems: size, maxItems: size }),
    typed('array', {
      prefixItems: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }),
      items: tie('schema'),
      minItems: size,
    }),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 2 }).map((allOf) => ({ allOf })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 2 }).map((oneOf) => ({ oneOf })),
    fc
      .tuple(tie('leaf'), tie('schema'))
      .map(([one, other]) => ({ ...(typeof one === 'boolean' ? {} : one), anyOf: [other, true] })),
  ),
})).schema;

/** With definitions that may refer to each other and to the whole. */
export const randomDocument: fc.Arbitrary<Record<string, unknown>> = fc
  .tuple(randomSchema, randomSchema, randomSchema)
  .map(([root, one, two]) => ({
    ...(typeof root === 'boolean' ? { anyOf: [root] } : root),
    $defs: { one, two },
  }));
