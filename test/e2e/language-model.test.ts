/** A language model behind the real agent, by OpenAI's own client: a generated one that repeats what it is told. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const folder = temporaryFolder();
let agent: RunningAgent;
let openai: OpenAI;

before(async () => {
  // The second is heavy enough that one can leave, or be killed, while it speaks.
  writeTinyLm(join(folder, 'parrot'), { id: 'parrot' });
  writeTinyLm(join(folder, 'cuckoo'), { id: 'cuckoo', seed: 2, payloadBytes: 40_000_000 });
  agent = await RunningAgent.start({
    config: {
      generalist: 'parrot',
      experts: ['parrot', 'cuckoo'].map((id) => ({ id, sources: [{ uri: `file:${join(folder, id)}` }] })),
    },
  });
  openai = new OpenAI({ baseURL: `${agent.url}/v1`, apiKey: 'none', maxRetries: 0 });
  await agent.until(
    () => agent.experts(),
    (experts) =>
      ['parrot', 'cuckoo'].every((id) => experts.some((one) => one.id === id && one.task !== null)),
  );
});
after(async () => {
  await agent.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** It goes on until its context is full: whoever leaves, or kills, finds it speaking. */
const ENDLESS = { logit_bias: { 1: -100 }, stream: true } as const;

const told = (content: string) => [{ role: 'user' as const, content }];

test('what no specialist claims is the generalist’s, and its decision says so', async () => {
  const response = await agent.ask('asdf qwer zxcv');
  assert.equal(await agent.text(response), 'parrot: asdf qwer zxcv');
  const story = await agent.explain(response.headers.get('x-expertd-decision') ?? '');
  assert.equal(story.choice?.router, 'generalist');
});

test('a medical question is found by the glossary and spoken by the language model, with sources', async () => {
  const response = await agent.ask('what is tachycardia?');
  const body = (await response.json()) as {
    choices: { message: { content: string } }[];
    expertd: { sources: { title: string; source: string }[] };
  };
  assert.equal(response.headers.get('x-expertd-expert'), 'medical');
  assert.equal(response.headers.get('x-expertd-degraded'), null);
  // The parrot says what it was told: the sources, and the question after them.
  const said = body.choices[0]?.message.content ?? '';
  assert.match(said, /^parrot: Sources:\n\[1\] tachycardia/);
  assert.equal(body.expertd.sources[0]?.title, 'tachycardia');
  assert.match(body.expertd.sources[0]?.source ?? '', /WordNet/);
});

test('20 clients at once get their own answers, streamed, from one model', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, at) => {
      const stream = await openai.chat.completions.create({
        model: 'parrot',
        messages: told(`number ${at} of twenty`),
        stream: true,
      });
      let text = '';
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      return text;
    }),
  );
  for (const [at, text] of answers.entries()) assert.equal(text, `parrot: number ${at} of twenty`);
});

test('a client that leaves after three pieces frees its place: the lease ends as cancelled', async () => {
  const stream = await openai.chat.completions.create({
    model: 'cuckoo',
    messages: told('on and on'),
    ...ENDLESS,
  });
  let pieces = 0;
  for await (const chunk of stream) {
    if ((chunk.choices[0]?.delta.content ?? '') !== '' && ++pieces === 3) break;
  }
  stream.controller.abort();
  await agent.until(
    () => agent.state(),
    ({ running, waiting }) => running + waiting === 0,
  );
  const [left] = (
    await agent.get<{ decisions: { outcome: string | null }[] }>('/expertd/v1/decisions?limit=1')
  ).decisions;
  assert.notEqual(left?.outcome, 'ok', JSON.stringify(left));
  assert.equal(await agent.text(await agent.ask('and now?', 'cuckoo')), 'cuckoo: and now?');
});

test('the same seed says the same, log probabilities are of what was said, usage counts', async () => {
  const ask = () =>
    openai.chat.completions.create({
      model: 'cuckoo',
      messages: told('say it'),
      seed: 7,
      temperature: 1.5,
      logprobs: true,
      top_logprobs: 2,
    });
  const [first, second] = [await ask(), await ask()];
  assert.equal(first.choices[0]?.message.content, second.choices[0]?.message.content);
  const tokens = first.choices[0]?.logprobs?.content ?? [];
  assert.equal(tokens.map(({ token }) => token).join(''), first.choices[0]?.message.content);
  assert.ok(tokens.every(({ logprob, top_logprobs }) => logprob <= 0 && top_logprobs.length === 2));
  const { usage } = first;
  assert.equal(usage?.total_tokens, (usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
});

test('a follow-up reuses what was said before, and `usage` says how much', async () => {
  const opening = [
    { role: 'system' as const, content: 'A system prompt that both requests share, word for word.' },
    { role: 'user' as const, content: 'first words' },
  ];
  const first = await openai.chat.completions.create({ model: 'parrot', messages: opening });
  const answer = first.choices[0]?.message.content ?? '';
  const second = await openai.chat.completions.create({
    model: 'parrot',
    messages: [...opening, { role: 'assistant', content: answer }, ...told('second words')],
  });
  assert.equal(second.choices[0]?.message.content, 'parrot: second words');
  const cached = second.usage?.prompt_tokens_details?.cached_tokens ?? 0;
  assert.ok(cached >= (first.usage?.prompt_tokens ?? 0), `${cached} of ${first.usage?.prompt_tokens}`);
});

test('a prompt that is too long is refused with the numbers, and truncated where that is asked', async () => {
  const long = 'word '.repeat(9_000);
  await assert.rejects(openai.chat.completions.create({ model: 'parrot', messages: told(long) }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError, String(error));
    assert.equal(error.code, 'context_length_exceeded');
    assert.match(error.message, /1024/);
    return true;
  });
  assert.equal(await agent.text(await agent.ask('still here?', 'parrot')), 'parrot: still here?');
});

test('kill -9 of the cell in mid-stream ends the stream with an error, and the next request works', async () => {
  const stream = await openai.chat.completions.create({
    model: 'cuckoo',
    messages: told('on and on'),
    ...ENDLESS,
  });
  const { cells } = await agent.state();
  const pid = cells.find(({ experts }) => experts.includes('cuckoo'))?.pid ?? assert.fail('no cell');
  await assert.rejects(async () => {
    let killed = false;
    for await (const chunk of stream) {
      if (killed || (chunk.choices[0]?.delta.content ?? '') === '') continue;
      process.kill(pid, 'SIGKILL');
      killed = true;
    }
  }, /process ended in the middle of the answer/);
  assert.equal(await agent.text(await agent.ask('again', 'cuckoo')), 'cuckoo: again');
});

test('every answer that must be JSON is JSON, even of a model that only repeats', async () => {
  const schema = {
    type: 'object',
    properties: { name: { type: 'string' }, age: { type: 'integer' } },
    required: ['name', 'age'],
    additionalProperties: false,
  };
  for (let at = 0; at < 20; at++) {
    const answer = await openai.chat.completions.create({
      model: 'parrot',
      messages: told(`person ${at}`),
      temperature: 1,
      seed: at,
      max_tokens: 60,
      response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema } },
    });
    const value = JSON.parse(answer.choices[0]?.message.content ?? '') as Record<string, unknown>;
    assert.deepEqual(Object.keys(value).sort(), ['age', 'name']);
    assert.ok(typeof value['name'] === 'string' && Number.isInteger(value['age']), JSON.stringify(value));
  }
});
