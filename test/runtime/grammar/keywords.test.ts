/** Each keyword: what may be said, what may not, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { AgentError } from '../../../agent/errors.ts';
import { follow, isSayable, smallGrammar } from './speakers.ts';

interface Case {
  readonly schema: unknown;
  readonly yes: readonly string[];
  readonly no: readonly string[];
  /** Valid texts that are not said all the same. */
  readonly unsaid?: readonly string[];
}

const NODE = {
  type: 'object',
  properties: { next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
  required: ['next'],
};

const CASES: Readonly<Record<string, Case>> = {
  'a type': { schema: { type: 'boolean' }, yes: ['true', 'false'], no: ['null', '"true"', ' true', 'true '] },
  'several types': { schema: { type: ['string', 'null'] }, yes: ['"a"', 'null'], no: ['1', 'nul'] },
  integers: {
    schema: { type: 'integer' },
    yes: ['0', '-7', '120'],
    no: ['01', '1.5', '-', '+1', '1e2'],
    unsaid: ['1.0', '-0'],
  },
  numbers: {
    schema: { type: 'number' },
    yes: ['0', '-0.5', '1e9', '1.25E-7', '3e+2'],
    no: ['.5', '1.', '1e', '--1', 'NaN'],
  },
  'minimum and maximum': {
    schema: { type: 'integer', minimum: -12, maximum: 105 },
    yes: ['-12', '-9', '0', '99', '100', '105'],
    no: ['-13', '-100', '106', '110', '200'],
  },
  'fractions between bounds': {
    schema: { type: 'number', minimum: 0.25, exclusiveMaximum: 1.5 },
    yes: ['0.25', '0.3', '1', '1.0', '1.49', '0.250'],
    no: ['0.24', '0.2', '1.5', '1.50', '2', '-1', '0'],
  },
  'negative fractions': {
    schema: { type: 'number', exclusiveMinimum: -2.5, maximum: -0.125 },
    yes: ['-2.49', '-0.125', '-1', '-0.2'],
    no: ['-2.5', '-0.1', '0', '1', '-3', '-0.12'],
  },
  'bounds with exponents': {
    schema: { type: 'number', minimum: 1e-7, maximum: 1e21 },
    yes: ['0.0000001', '1', '999999999999999'],
    no: ['0', '0.00000009', '-1'],
    unsaid: ['1e21'],
  },
  'bounds of safe integers': {
    schema: { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
    yes: ['0', '-900000000000000', '999999999999999'],
    no: ['9007199254740993'],
    unsaid: ['9007199254740991'],
  },
  multipleOf: {
    schema: { type: 'integer', multipleOf: 7, minimum: 1 },
    yes: ['7', '14', '777'],
    no: ['0', '8', '70.0', '-7'],
  },
  'lengths of strings': {
    schema: { type: 'string', minLength: 2, maxLength: 3 },
    yes: ['"ab"', '"a🙂b"', '"\\n\\u00e4"', '"\\ud83d\\ude42a"', '"日本語"'],
    no: ['"a"', '"🙂"', '"abcd"', '"\\ud83d\\ude42"'],
  },
  'texts that are no text': {
    schema: { type: 'string' },
    yes: ['""', '"\\/"'],
    no: ['"\u0001"', '"\\x"', '"a', '"\\u12g4"'],
    unsaid: ['"\\ud800"', '"\\udc00\\ude42"', '"\\ud83dx"'],
  },
  pattern: {
    schema: { type: 'string', pattern: '^(ab?|[x-z]{2}\\.)+$' },
    yes: ['"aab"', '"xy.a"'],
    no: ['""', '"xya"', '"b"'],
  },
  'pattern anywhere': {
    schema: { type: 'string', pattern: '\\d' },
    yes: ['"a1b"', '"7"'],
    no: ['"ab"', '""'],
    unsaid: ['"\\u0037"'],
  },
  'pattern and lengths': {
    schema: { type: 'string', pattern: '^[a-z]*$', minLength: 2, maxLength: 3 },
    yes: ['"ab"', '"abc"'],
    no: ['"a"', '"abcd"', '"aB"'],
  },
  'pattern with letters that are escaped': {
    schema: { type: 'string', pattern: '^["\\\\\\n]$' },
    yes: ['"\\""', '"\\\\"', '"\\n"'],
    no: ['"n"'],
  },
  enum: {
    schema: { enum: ['a', 'ab', 1, null, [1, { b: 2 }]] },
    yes: ['"a"', '"ab"', '1', 'null', '[1,{"b":2}]'],
    no: ['"b"', '2', '12'],
  },
  'enum of a type': { schema: { type: 'number', enum: ['1', 1, 2.5] }, yes: ['1', '2.5'], no: ['"1"'] },
  const: { schema: { const: 'say "x"' }, yes: ['"say \\"x\\""'], no: ['"say x"'] },
  'properties in order': {
    schema: {
      type: 'object',
      properties: { a: { type: 'integer' }, b: { type: 'integer' }, c: { type: 'integer' } },
      required: ['b'],
    },
    yes: ['{"b":1}', '{"a":1,"b":2}', '{ "a": 1, "b": 2, "c": 3 }', '{\n  "b": 1,\n  "c": 2\n}'],
    no: ['{}', '{"a":1}', '{"b":1,}', '{"b":1 }}', '{"b":1,"b":2}'],
    unsaid: ['{"b":1,"a":2}', '{"b":1,"d":2}', '{"b"  :1}'],
  },
  additionalProperties: {
    schema: {
      type: 'object',
      properties: { ab: { type: 'integer' }, ä: { type: 'integer' } },
      additionalProperties: { type: 'string' },
    },
    yes: ['{}', '{"ab":1,"abc":"x"}', '{"a":"x","b":"y"}', '{"":""}'],
    no: ['{"ab":"x"}', '{"a":1}', '{"ä":"x"}', '{"ab":1,"ab":"x"}'],
    unsaid: ['{"\\u0063":"x"}', '{"öl":"x"}'],
  },
  'no additionalProperties': {
    schema: { type: 'object', properties: {}, additionalProperties: false },
    yes: ['{}', '{ }'],
    no: ['{"a":1}'],
  },
  'required without properties': {
    schema: { type: 'object', required: ['a'] },
    yes: ['{"a":[1]}'],
    no: ['{}', '{"b":1}'],
  },
  'a map': {
    schema: { type: 'object', propertyNames: { type: 'string' }, additionalProperties: { type: 'integer' } },
    yes: ['{"x":1}'],
    no: ['{"x":""}'],
  },
  items: {
    schema: { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 3 },
    yes: ['[1,2]', '[ 1, 2, 3 ]', '[\n 1,\n 2\n]'],
    no: ['[]', '[1]', '[1,2,3,4]', '[1,]', '["a",1]'],
    unsaid: ['[1 ,2]'],
  },
  'prefixItems and items': {
    schema: {
      type: 'array',
      prefixItems: [{ type: 'string' }, { type: 'integer' }],
      items: { type: 'boolean' },
      minItems: 1,
    },
    yes: ['["a"]', '["a",1]', '["a",1,true,false]'],
    no: ['[]', '[1]', '["a",true]', '["a",1,2]'],
  },
  'exact tuples': {
    schema: {
      type: 'array',
      prefixItems: [{ type: 'integer' }, { type: 'integer' }],
      minItems: 2,
      maxItems: 2,
    },
    yes: ['[1,2]'],
    no: ['[1]', '[1,2,3]'],
  },
  anyOf: {
    schema: {
      anyOf: [
        {
          type: 'object',
          properties: { kind: { const: 'a' }, n: { type: 'integer' } },
          required: ['kind', 'n'],
        },
        { type: 'object', properties: { kind: { const: 'b' } }, required: ['kind'] },
      ],
    },
    yes: ['{"kind":"a","n":1}', '{"kind":"b"}'],
    no: ['{"kind":"a"}', '{"kind":"c"}'],
    unsaid: ['{"kind":"b","n":1}'],
  },
  'oneOf of tagged objects': {
    schema: {
      oneOf: ['a', 'b'].map((kind) => ({
        type: 'object',
        properties: { kind: { enum: [kind] } },
        required: ['kind'],
      })),
    },
    yes: ['{"kind":"a"}', '{"kind":"b"}'],
    no: ['{"kind":"c"}'],
  },
  'oneOf of types': {
    schema: { oneOf: [{ type: 'string' }, { type: 'number' }] },
    yes: ['"a"', '1'],
    no: ['null'],
  },
  allOf: {
    schema: {
      allOf: [
        { $ref: '#/$defs/base' },
        { type: 'object', properties: { b: { type: 'number', maximum: 5 } }, required: ['b'] },
      ],
      $defs: {
        base: {
          type: 'object',
          properties: { a: { type: 'string' }, b: { type: 'integer' } },
          required: ['a'],
        },
      },
    },
    yes: ['{"a":"x","b":5}'],
    no: ['{"a":"x"}', '{"a":"x","b":6}', '{"a":"x","b":1.5}'],
  },
  'allOf with additionalProperties': {
    schema: {
      allOf: [
        { type: 'object', properties: { a: {} }, additionalProperties: { type: 'integer' } },
        { properties: { b: { minimum: 3 } } },
      ],
    },
    yes: ['{"a":"x","b":3}', '{"b":4}'],
    no: ['{"b":2}', '{"b":"x"}'],
  },
  'keywords beside a reference': {
    schema: { $ref: '#/$defs/n', maximum: 5, $defs: { n: { type: 'integer', minimum: 2 } } },
    yes: ['2', '5'],
    no: ['1', '6'],
  },
  'keywords beside anyOf': {
    schema: {
      type: 'object',
      properties: { a: { type: 'integer' }, b: { type: 'integer' } },
      anyOf: [{ required: ['a'] }, { required: ['b'] }],
    },
    yes: ['{"a":1}', '{"b":1}', '{"a":1,"b":1}'],
    no: ['{}'],
  },
  recursion: {
    schema: { ...NODE, $defs: { node: NODE } },
    yes: ['{"next":null}', '{"next":{"next":null}}'],
    no: ['{}', '{"next":{}}'],
  },
  'references to a place': {
    schema: { properties: { 'a/b': { type: 'integer' }, c: { $ref: '#/properties/a~1b' } }, required: ['c'] },
    yes: ['{"c":1}'],
    no: ['{"c":""}'],
    unsaid: ['7'],
  },
  nullable: { schema: { type: 'string', nullable: true }, yes: ['"a"', 'null'], no: ['1'] },
  'notes that say nothing': {
    schema: { title: 'T', description: 'd', default: 1, examples: [1], 'x-order': 1, type: 'integer' },
    yes: ['1'],
    no: ['""'],
  },
  'any value': {
    schema: true,
    yes: ['1', '"a"', '[[],{}]', '{"a":{"b":[null]}}'],
    no: ['', 'a', '[1', '{a:1}'],
  },
  dates: {
    schema: { type: 'string', format: 'date' },
    yes: ['"2024-02-28"', '"1999-12-31"'],
    no: ['"2024-02-30"', '"2024-13-01"', '"24-01-01"'],
    unsaid: ['"2024-02-29"'],
  },
};

const grammar = await smallGrammar();
const ajv = new Ajv2020({ strict: false, validateFormats: false, keywords: ['x-order'] });

function isValid(schema: object, text: string): boolean {
  try {
    return ajv.validate(schema, JSON.parse(text)) as boolean;
  } catch {
    return false;
  }
}

for (const [name, { schema, yes, no, unsaid = [] }] of Object.entries(CASES)) {
  test(name, async () => {
    for (const text of yes) assert.ok(isSayable(await follow(grammar, schema), text), `${text} can be said`);
    for (const text of [...no, ...unsaid]) {
      assert.ok(!isSayable(await follow(grammar, schema), text), `${text} cannot be said`);
    }
    if (typeof schema !== 'object' || schema === null) return;
    for (const text of yes) assert.ok(isValid(schema, text), `${text} is valid`);
    for (const text of unsaid)
      assert.ok(isValid(schema, text) || 'format' in schema, `${text} would be valid`);
  });
}

const REFUSED: readonly (readonly [schema: unknown, reason: RegExp])[] = [
  [{ type: 'string', not: { const: 'a' } }, /"not" is not supported/],
  [{ type: 'array', uniqueItems: true }, /"uniqueItems" is not supported/],
  [{ type: 'array', contains: {} }, /"contains" is not supported/],
  [{ if: {}, else: {} }, /"if" is not supported/],
  [{ type: 'object', patternProperties: { '^a': {} } }, /"patternProperties" is not supported/],
  [
    { type: 'object', properties: { a: { dependentRequired: {} } } },
    /at #\/properties\/a: the keyword "dependentRequired"/,
  ],
  [{ type: 'object', minProperties: 1 }, /"minProperties" is not supported/],
  [{ type: 'object', propertyNames: { pattern: 'a' } }, /"propertyNames" other than/],
  [{ type: 'object', requierd: ['a'] }, /"requierd" is not supported/],
  [{ type: 'number', multipleOf: 0.1 }, /"multipleOf" 0.1 is not supported/],
  [{ type: 'string', format: 'iri' }, /the format "iri" is not supported/],
  [{ type: 'string', pattern: '(a)\\1' }, /"pattern" with "\\1" is not supported/],
  [{ type: 'string', pattern: '^(?=a)' }, /"pattern" with "\(\?=a\)" is not supported/],
  [{ type: 'string', pattern: '\\bword' }, /"pattern" with "\\b" is not supported/],
  [{ type: 'string', pattern: '\\p{L}' }, /"pattern" with "\\p\{L\}" is not supported/],
  [{ type: 'string', pattern: '(' }, /"pattern" is no regular expression/],
  ['{"type":"string","p\\u0061ttern":"[z-a]"}', /"pattern" is no regular expression/],
  [{ type: 'strin' }, /"strin" is no type/],
  [{ type: 'array', items: [{}] }, /"items" is a list/],
  [{ type: 'array', minItems: -1 }, /the value of "minItems" is not a size/],
  [{ type: 'object', properties: { a: 1 } }, /the value of "properties" is not a schema/],
  [{ $ref: 'https://example.com/schema' }, /"\$ref" to "https:\/\/example.com\/schema" is not supported/],
  [{ $ref: '#/$defs/none' }, /leads nowhere/],
  [{ $ref: '#/constructor' }, /leads nowhere/],
  [{ $ref: '#' }, /refers to itself without going into the value/],
  [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, /valid by two branches of "oneOf"/],
  [{ enum: ['a'], minLength: 2 }, /"enum" or "const" together with keywords about its values/],
  [{ allOf: [{ pattern: 'a' }, { pattern: 'b' }] }, /two different "pattern"/],
  ['{', /it is not JSON/],
  ['7', /it is no schema/],
];

for (const [schema, reason] of REFUSED) {
  test(`refuses ${JSON.stringify(schema)}`, async () => {
    await assert.rejects(follow(grammar, schema), (error: unknown) => {
      assert.ok(
        error instanceof AgentError && error.code === 'bad_input' && error.hint !== null,
        String(error),
      );
      assert.match(error.message, reason);
      return true;
    });
  });
}
