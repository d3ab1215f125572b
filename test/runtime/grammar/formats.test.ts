/** Texts of each format, against what else knows the format. */
import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { FORMATS } from '../../../agent/runtime/grammar/rules/formats.ts';
import { follow, randomModel, say, smallGrammar } from './speakers.ts';

function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

function isHost(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => /^(?!-)[a-z0-9-]{1,63}(?<!-)$/i.test(label));
}

const KNOWN: Readonly<Record<string, (text: string) => boolean>> = {
  date: isDay,
  time: (text) => !Number.isNaN(Date.parse(`2024-01-01T${text}`)),
  'date-time': (text) => isDay(text.slice(0, 10)) && !Number.isNaN(Date.parse(text)),
  duration: (text) => /^P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?)$/.test(text),
  email: (text) => {
    const [local = '', host = '', ...more] = text.split('@');
    return more.length === 0 && local.length <= 64 && !/^\.|\.\.|\.$/.test(local) && isHost(host);
  },
  hostname: isHost,
  ipv4: isIPv4,
  ipv6: isIPv6,
  uuid: (text) => /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text),
  uri: (text) => URL.canParse(text) && isHost(new URL(text).hostname),
};

const grammar = await smallGrammar();

for (const format of Object.keys(FORMATS)) {
  test(format, async () => {
    const isKnown = KNOWN[format];
    assert.ok(isKnown !== undefined, 'the test knows it');
    const chance = fc.double({ min: 0, max: 0.999, noNaN: true });
    const property = fc.asyncProperty(fc.infiniteStream(chance), fc.nat(40), async (chances, more) => {
      const constraint = await follow(grammar, { type: 'string', format });
      const model = randomModel(() => chances.next().value ?? 0);
      const { text, finish } = say(constraint, constraint.tokensToEnd + more, model);
      assert.equal(finish, 'stop');
      assert.ok(isKnown(String(JSON.parse(text))), text);
    });
    await fc.assert(property, { numRuns: 60 });
  });
}
