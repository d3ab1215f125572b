/** Schemas that mean harm: refused with the reason, or followed all the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { endlessModel, follow, say, smallGrammar } from './speakers.ts';

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** Definitions of which each names the next one, and the last is an integer. */
function chain(length: number, link: (next: { $ref: string }) => unknown): object {
  const links = times(length, (index) => [`d${index}`, link({ $ref: `#/$defs/d${index + 1}` })] as const);
  return { $ref: '#/$defs/d0', $defs: Object.fromEntries([...links, [`d${length}`, { type: 'integer' }]]) };
}

const REFUSED: Readonly<Record<string, readonly [schema: unknown, reason: RegExp]>> = {
  'a text of megabytes': [{ enum: times(100_000, String) }, /its text has \d+ characters/],
  'many enum values': [{ enum: times(5001, (index) => index) }, /more than 5000 enum values/],
  'a text that is nested deeply': [
    `${'{"items":'.repeat(20_000)}{}${'}'.repeat(20_000)}`,
    /more than 64 levels/,
  ],
  'a list that cannot end': [{ type: 'array', minItems: 1e9 }, /nothing of at most 8192 bytes/],
  'a string that cannot end': [{ type: 'string', minLength: 1e15 }, /nothing of at most 8192 bytes/],
  'recursion without an end': [
    { type: 'object', properties: { n: { $ref: '#' } }, required: ['n'] },
    /nothing of at most 8192 bytes/,
  ],
  'a tree of lists that doubles': [
    chain(40, (next) => ({ type: 'array', prefixItems: [next, next], minItems: 2 })),
    /nothing of/,
  ],
  'branches that double': [chain(25, (next) => ({ anyOf: [next, next] })), /more than 64 ways/],
  'parts that double': [chain(25, (next) => ({ allOf: [next, next] })), /take too long to resolve/],
  'enum values that are compared again and again': [
    {
      allOf: times(2000, () => ({ $ref: '#/$defs/e' })),
      $defs: { e: { enum: times(4000, (index) => index) } },
    },
    /take too long to resolve/,
  ],
  'references in a long chain': [chain(4000, (next) => next), /nested too deeply/],
  contradictions: [{ allOf: [{ type: 'string' }, { type: 'integer' }] }, /nothing of/],
  'bounds that cross': [{ type: 'integer', minimum: 5, maximum: 4 }, /nothing of/],
  'many branches': [
    { anyOf: times(65, (index) => ({ type: 'array', minItems: index })) },
    /more than 64 ways/,
  ],
  'a pattern that multiplies': [
    { type: 'string', pattern: '^(((a{100}){100}){100}){100}$' },
    /more than 2000 states/,
  ],
  'a pattern of nothing': [{ type: 'string', pattern: '^(){1000000000}$' }, /more than 2000 states/],
  'a long pattern': [{ type: 'string', pattern: 'a'.repeat(1001) }, /a pattern has 1001 characters/],
  'a pattern times a length': [
    { type: 'string', pattern: '^[a-z]+$', maxLength: 1e6 },
    /more than 40000 states/,
  ],
  'many remainders': [{ type: 'integer', multipleOf: 99_991 }, /more than 40000 states/],
  'long names': [{ type: 'object', properties: { ['x'.repeat(50_000)]: {} } }, /more than 40000 states/],
};

const grammar = await smallGrammar();

for (const [name, [schema, reason]] of Object.entries(REFUSED)) {
  test(`refuses ${name}`, async () => {
    await assert.rejects(follow(grammar, schema), (error: unknown) => {
      assert.ok(
        error instanceof AgentError && error.code === 'bad_input' && error.hint !== null,
        String(error),
      );
      assert.match(error.message, reason);
      assert.ok(error.message.length < 400);
      return true;
    });
  });
}

test('stops following a pattern whose automaton has 2^900 states, and follows others after it', async () => {
  const schema = { type: 'string', pattern: '^.*[a-m].{900}$' };
  for (const limit of [400, 10_000]) {
    const constraint = await follow(grammar, schema);
    assert.throws(() => say(constraint, limit, endlessModel), {
      code: 'bad_input',
      message: /what may come next takes too long to find out/,
    });
  }
  const harmless = await follow(grammar, { enum: ['a'] });
  assert.equal(say(harmless, 10, endlessModel).text, '"a"');
});

const REPEATING = {
  anyOf: times(60, (index) => ({ type: 'array', items: { $ref: '#/$defs/s' }, maxItems: 1000 + index })),
};

const KEPT: Readonly<Record<string, unknown>> = {
  'a list without an end': { type: 'array', maxItems: 1e15, items: { type: 'string', maxLength: 1e15 } },
  'a thousand optional properties': {
    type: 'object',
    properties: Object.fromEntries(times(1000, (index) => [`p${index}`, { type: 'integer' }])),
    additionalProperties: { type: 'integer' },
  },
  'lists in sixty levels': JSON.parse(`${'{"type":"array","items":'.repeat(30)}{}${'}'.repeat(30)}`),
  'sixty readings of every list': { $ref: '#/$defs/s', $defs: { s: REPEATING } },
  'sixty kinds of strings': { anyOf: times(60, (index) => ({ type: 'string', minLength: index })) },
  'a pattern with many states': { type: 'string', pattern: '(a|b)*a(a|b){14}$' },
  'a combination that grows with each level': {
    $ref: '#/$defs/s',
    $defs: {
      s: { type: 'object', properties: { c: { allOf: [{ $ref: '#/$defs/s' }, { $ref: '#/$defs/t' }] } } },
      t: { type: 'object', properties: { c: { $ref: '#/$defs/s' }, d: { $ref: '#/$defs/t' } } },
    },
  },
  'names that objects have': {
    type: 'object',
    properties: { constructor: { type: 'integer' }, toString: {} },
    required: ['constructor'],
  },
};

for (const [name, schema] of Object.entries(KEPT)) {
  test(`follows ${name}`, async () => {
    const constraint = await follow(grammar, schema);
    const { text, finish } = say(constraint, constraint.tokensToEnd + 40, endlessModel);
    assert.equal(finish, 'stop');
    assert.doesNotThrow(() => JSON.parse(text));
  });
}
