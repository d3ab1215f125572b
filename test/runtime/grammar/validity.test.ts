/** Whatever the schema, the model and the room: a text that is complete is valid, and it is complete in time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { FollowedText } from '../../../agent/runtime/grammar/followed-text.ts';
import { randomDocument } from './random-schemas.ts';
import {
  endlessModel,
  follow,
  followIfKept,
  type Model,
  randomModel,
  say,
  smallGrammar,
} from './speakers.ts';

/** More room than the plan needs, in tokens. */
const room = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 80 }));
const chance = fc.double({ min: 0, max: 0.999, noNaN: true });

/** ajv compares the prototypes of objects too, so schemas are read from their text. null: ajv goes round in circles. */
function validatorOf(schema: unknown): ValidateFunction | null {
  try {
    const ajv = new Ajv2020({ strict: false, meta: false, validateSchema: false });
    return ajv.compile(JSON.parse(JSON.stringify(schema)));
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

async function sayAndCheck(schema: unknown, more: number, model: Model): Promise<boolean> {
  const validate = validatorOf(schema);
  const constraint = validate === null ? null : await followIfKept(await grammar, schema);
  if (validate === null || constraint === null) return false;
  const { text, finish } = say(constraint, constraint.tokensToEnd + more, model);
  if (finish === 'length')
    assert.ok(Number.isFinite(Number(text)), `only a number may be cut, where it is whole: ${text}`);
  assert.ok(validate(JSON.parse(text)), `${text} is not valid`);
  return true;
}

const grammar = smallGrammar();

test('by random schemas, a model that says anything', async () => {
  let kept = 0;
  const property = fc.asyncProperty(
    randomDocument,
    room,
    fc.infiniteStream(chance),
    async (schema, more, chances) => {
      const model = randomModel(() => chances.next().value ?? 0);
      if (await sayAndCheck(schema, more, model)) kept += 1;
    },
  );
  await fc.assert(property, { numRuns: 400 });
  assert.ok(kept > 150, `only ${kept} schemas were kept`);
});

test('by random schemas, a model that closes nothing', async () => {
  let kept = 0;
  const property = fc.asyncProperty(randomDocument, room, async (schema, more) => {
    if (await sayAndCheck(schema, more, endlessModel)) kept += 1;
  });
  await fc.assert(property, { numRuns: 200 });
  assert.ok(kept > 75, `only ${kept} schemas were kept`);
});

test('any object, by both', async () => {
  const property = fc.asyncProperty(
    room,
    fc.infiniteStream(chance),
    fc.boolean(),
    async (more, chances, closes) => {
      const constraint = await (await grammar).constrain({ kind: 'json-object' });
      assert.ok(constraint instanceof FollowedText);
      const model = closes ? randomModel(() => chances.next().value ?? 0) : endlessModel;
      const { text, finish } = say(constraint, constraint.tokensToEnd + more, model);
      assert.equal(finish, 'stop');
      const value: unknown = JSON.parse(text);
      assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), text);
    },
  );
  await fc.assert(property, { numRuns: 100 });
});

const NODE = {
  type: 'object',
  properties: { children: { type: 'array', items: { $ref: '#' }, minItems: 0 } },
  required: ['children'],
};
const LETTER = {
  type: 'object',
  properties: {
    subject: { type: 'string', minLength: 30 },
    to: { enum: ['anna', 'bernd'] },
    sent: { type: 'boolean' },
  },
  required: ['subject', 'to', 'sent'],
};

test('a tree that would grow for ever and a text that would never close end in time', async () => {
  for (const schema of [NODE, LETTER, { type: 'array', items: { type: 'number' }, minItems: 12 }]) {
    const { tokensToEnd } = await follow(await grammar, schema);
    for (const more of [0, 1, 2, 3, 5, 10, 100]) assert.ok(await sayAndCheck(schema, more, endlessModel));
    assert.ok(tokensToEnd > 1);
  }
});

test('with too little room from the start the text is cut, and what was said of it is right', async () => {
  const constraint = await follow(await grammar, LETTER);
  const { text, finish } = say(constraint, 4, endlessModel);
  assert.equal(finish, 'length');
  assert.ok(text.startsWith('{'), text);
  assert.throws(() => JSON.parse(text), SyntaxError);
});
