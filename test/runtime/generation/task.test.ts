/** Text generation over the generated model, whose answers are known: `ID: ` and the last message again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import type { ChatMessage } from '../../../agent/ports.ts';
import { ask, chat, editJson, openTask, raw, tinyPackage } from './asking.ts';

const EMOJI = 'Łódź 😀🎉 日本';

test('the answer is what the model says, in pieces and as a whole', async (t) => {
  const files = tinyPackage(t, { id: 'tiny-a' });
  const task = await openTask(t, files);
  for (const { input, output } of files.manifest.golden) {
    const { answer, deltas, stages } = await ask(task, chat(input));
    assert.deepEqual({ text: answer.text }, output);
    assert.equal(deltas.join(''), answer.text);
    assert.ok(deltas.length > 1, 'it came in one piece');
    assert.equal(answer.finish, 'stop');
    assert.ok(answer.inputTokens > answer.outputTokens && answer.outputTokens >= deltas.length);
    for (const stage of ['tokenize', 'prefill', 'decode']) assert.ok((stages[stage] ?? 0) > 0, stage);
  }
});

test('two experts that were told the same say who they are; two seeds of one differ in bytes only', async (t) => {
  const [first, again, other] = [
    tinyPackage(t, { id: 'first', seed: 1 }),
    tinyPackage(t, { id: 'first', seed: 1 }),
    tinyPackage(t, { id: 'other', seed: 2, payloadBytes: 5_000_000 }),
  ];
  assert.deepEqual(first.manifest, again.manifest);
  const data = ({ manifest }: typeof first) => manifest.files.find(({ path }) => path.endsWith('_data'));
  assert.notEqual(data(first)?.sha256, data(other)?.sha256);
  assert.ok(first.manifest.files.reduce((sum, { bytes }) => sum + bytes, 0) < 1_000_000);
  const bytes = data(other)?.bytes ?? 0;
  assert.ok(bytes > 5_000_000 && bytes < 5_500_000, `${bytes} bytes for a payload of 5 MB`);
  const said = [];
  for (const files of [first, other])
    said.push((await ask(await openTask(t, files), chat('Who is it?'))).answer.text);
  assert.deepEqual(said, ['first: Who is it?', 'other: Who is it?']);
});

test('history is part of the prompt, and the last message is the one that is answered', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const messages: ChatMessage[] = [{ role: 'system', content: 'Be kind.' }];
  for (const content of ['one two three', 'hello there', 'hello again']) {
    messages.push({ role: 'user', content });
    const { answer } = await ask(task, chat(messages));
    assert.equal(answer.text, `tiny: ${content}`);
    messages.push({ role: 'assistant', content: answer.text });
  }
});

test('a long prompt is answered in full: several pieces of prefill, many buckets of the cache', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const digits = withoutRepeats(480);
  const { answer } = await ask(task, chat(digits));
  assert.equal(answer.text, `tiny: ${digits}`);
  assert.ok(answer.inputTokens > 480 && answer.outputTokens > 480);
});

/** Digits, a token each, in which no three stand twice in the same order: what the model can copy exactly. */
function withoutRepeats(length: number): string {
  let digits = '00';
  while (digits.length < length) {
    const next = [...'9876543210'].find((digit) => !digits.includes(digits.slice(-2) + digit));
    assert.ok(next !== undefined, 'no digit is left');
    digits += next;
  }
  return digits;
}

test('pieces never hold half a character, and an answer cut inside one drops it', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const { answer, deltas } = await ask(task, chat(EMOJI));
  assert.equal(answer.text, `tiny: ${EMOJI}`);
  for (const delta of deltas)
    assert.ok(delta.isWellFormed() && !delta.includes('\uFFFD'), JSON.stringify(delta));
  for (let maxTokens = 0; maxTokens < answer.outputTokens; maxTokens += 1) {
    const cut = (await ask(task, chat(EMOJI, { maxTokens }))).answer;
    assert.equal(cut.finish, 'length');
    assert.equal(cut.outputTokens, maxTokens);
    assert.ok(`tiny: ${EMOJI}`.startsWith(cut.text), JSON.stringify(cut.text));
  }
});

test('a stop string ends the answer before it, wherever tokens part it', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const question = 'count one, two; three';
  for (const stop of [['two;'], ['unt one, t'], ['nowhere', ' th'], ['t']]) {
    const { answer, deltas } = await ask(task, chat(question, { stop }));
    const whole = `tiny: ${question}`;
    const end = Math.min(...stop.map((one) => whole.indexOf(one)).filter((at) => at >= 0));
    assert.equal(answer.text, whole.slice(0, end));
    assert.equal(deltas.join(''), answer.text);
    assert.equal(answer.finish, 'stop');
  }
  const { answer } = await ask(task, chat(question, { stop: ['threefold', ''] }));
  assert.equal(answer.text, `tiny: ${question}`, 'the beginning of a stop string is no stop string');
});

test('a cancel that arrives as a message ends the answer between two steps', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  let gone = false;
  // As from a socket: it can only be seen if the loop lets the event loop turn.
  const watch = {
    onDelta: () => {
      setImmediate(() => {
        gone = true;
      });
    },
    cancelled: () => gone,
  };
  const { answer } = await ask(task, chat('the weather of the mountain and the stories'), watch);
  assert.equal(answer.finish, 'cancelled');
  assert.ok(answer.outputTokens <= 2, `${answer.outputTokens} tokens after the cancel`);
  const early = await ask(task, chat('anything'), { cancelled: () => true });
  assert.deepEqual([early.answer.finish, early.answer.text], ['cancelled', '']);
});

test('a cancel ends a long prompt between two of its pieces', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  let steps = 0;
  const answer = await task.run(chat('7'.repeat(700)), {
    cancelled: () => steps >= 2,
    onDelta: () => assert.fail('it answered'),
    spent: (stage) => {
      if (stage === 'prefill') steps += 1;
    },
  });
  assert.ok(answer.kind === 'text' && answer.finish === 'cancelled');
  assert.equal(steps, 2);
});

test('the same seed says the same at a high temperature, another seed something else', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const say = async (seed: number) =>
    (await ask(task, chat('hello', { temperature: 2, seed, maxTokens: 12 }))).answer.text;
  const [first, again, other] = [await say(1), await say(1), await say(2)];
  assert.equal(first, again);
  assert.notEqual(first, other);
  const greedy = await ask(task, chat('hello', { temperature: 0, seed: 3 }));
  assert.equal(greedy.answer.text, 'tiny: hello');
});

test('a prompt that leaves no room is refused with the numbers; one that does is answered until the context is full', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  // A digit is a token.
  const tokensAround = (await ask(task, chat('', { maxTokens: 0 }))).answer.inputTokens;
  const full = '7'.repeat(1023 - tokensAround);
  const { answer } = await ask(task, chat(full));
  assert.deepEqual([answer.inputTokens, answer.outputTokens, answer.finish], [1023, 1, 'length']);
  const wanted = (await ask(task, chat(full, { maxTokens: 50 }))).answer;
  assert.deepEqual([wanted.outputTokens, wanted.finish], [1, 'length']);
  await assert.rejects(ask(task, chat(`${full}7`)), (error) => {
    assert.ok(error instanceof AgentError);
    assert.equal(error.code, 'context_overflow');
    assert.match(error.message, /1024 tokens.* 1024 tokens/);
    assert.doesNotMatch(error.message, /777/);
    return true;
  });
  await assert.rejects(ask(task, chat('x'.repeat(10_000_000))), { code: 'context_overflow' });
});

test('what the template or the task cannot take is refused as bad input', async (t) => {
  const files = tinyPackage(t);
  editJson(files, 'tokenizer_config.json', (config) => {
    config['chat_template'] = "{% if messages|length > 1 %}{{ raise_exception('one only') }}{% endif %}x";
  });
  const task = await openTask(t, files);
  const message = { role: 'user', content: 'hello' } as const;
  await assert.rejects(ask(task, chat([message, message])), { code: 'bad_input', message: /one only/ });
  await assert.rejects(ask(task, { kind: 'embeddings', texts: ['a'] }), { code: 'wrong_task' });
});

test('the makers’ settings count where the request says nothing', async (t) => {
  const sampled = tinyPackage(t);
  editJson(sampled, 'generation_config.json', (config) => {
    Object.assign(config, { do_sample: true, temperature: 2 });
  });
  const warm = await openTask(t, sampled);
  const answers = new Set<string>();
  for (const seed of [1, 2, 3])
    answers.add((await ask(warm, chat('hello', { seed, maxTokens: 12 }))).answer.text);
  assert.equal(answers.size, 3);

  const single = tinyPackage(t);
  editJson(single, 'generation_config.json', (config) => {
    config['eos_token_id'] = 1;
  });
  editJson(single, 'tokenizer_config.json', (config) => {
    config['chat_template'] = [
      { name: 'tool_use', template: '{{ 1 / 0 }}' },
      { name: 'default', template: config['chat_template'] },
    ];
    config['bos_token'] = { content: '<|start|>' };
  });
  assert.equal((await ask(await openTask(t, single), chat('hello'))).answer.text, 'tiny: hello');
});

test('a model that says nothing gives an empty answer', async (t) => {
  const files = tinyPackage(t);
  const signature: number = JSON.parse(readFileSync(join(files.directory, 'tokenizer.json'), 'utf8')).model
    .vocab['tiny: '];
  editJson(files, 'generation_config.json', (config) => {
    config['eos_token_id'] = [1, signature];
  });
  const { answer, deltas } = await ask(await openTask(t, files), chat('hello'));
  assert.deepEqual([answer.text, answer.finish, answer.outputTokens, deltas], ['', 'stop', 0, []]);
});

test('a follow-up runs only what is new, and what is kept can be taken back', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const messages: ChatMessage[] = [{ role: 'user', content: 'one two three' }];
  const first = (await ask(task, chat(messages))).answer;
  assert.equal(first.cachedTokens, 0);
  messages.push({ role: 'assistant', content: first.text }, { role: 'user', content: 'hello there' });
  const second = (await ask(task, chat(messages))).answer;
  assert.equal(second.text, 'tiny: hello there');
  // All that was said but its end, which the template writes after it.
  assert.ok(second.cachedTokens >= first.inputTokens + first.outputTokens - 1, `${second.cachedTokens}`);
  assert.ok((task.keptBytes?.() ?? 0) > 0);
  task.trim?.();
  assert.equal(task.keptBytes?.(), 0);
  const third = (await ask(task, chat(messages))).answer;
  assert.deepEqual([third.text, third.cachedTokens], [second.text, 0]);
});

test('what was asked before changes nothing about an answer with a seed', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const long = withoutRepeats(300);
  const seeded = { temperature: 1.5, seed: 7, maxTokens: 40 };
  const first = (await ask(task, chat(long, seeded))).answer;
  await ask(task, chat(`${long.slice(0, 150)}8`));
  await ask(task, chat(long, { maxTokens: 3 }));
  const again = (await ask(task, chat(long, seeded))).answer;
  assert.equal(again.text, first.text);
  assert.ok(again.cachedTokens > 0 && again.cachedTokens % 128 === 0, `${again.cachedTokens}`);
});

test('twenty at once each get their own answer, out of memory for four', async (t) => {
  const files = tinyPackage(t);
  // 2 layers x 2 x 2 heads x 64 numbers: 2,048 bytes a token.
  const task = await openTask(t, files, { cacheBytes: 4 * 256 * 2_048 });
  const words = Array.from({ length: 20 }, (_, at) => `${at} small boats went to sea, captain ${at}`);
  const answers = await Promise.all(words.map(async (word) => (await ask(task, chat(word))).answer.text));
  assert.deepEqual(
    answers,
    words.map((word) => `tiny: ${word}`),
  );
  assert.ok((task.keptBytes?.() ?? 0) <= 4 * 256 * 2_048);
});

test('less memory is a shorter context, which is said; too little is refused', async (t) => {
  const files = tinyPackage(t);
  const task = await openTask(t, files, { cacheBytes: 256 * 2_048 });
  await assert.rejects(ask(task, chat('7'.repeat(300))), {
    code: 'context_overflow',
    hint: /raise experts\[\]\.contextTokens: the model was made for 1024/,
  });
  await assert.rejects(openTask(t, files, { cacheBytes: 1_000 }), {
    code: 'bad_expert',
    message: /1000 bytes .* hold 0 tokens; raise experts/,
  });
});

test('a text is continued past the template, also by a model that has none', async (t) => {
  const files = tinyPackage(t);
  editJson(files, 'tokenizer_config.json', (config) => delete config['chat_template']);
  const task = await openTask(t, files);
  const { answer } = await ask(task, raw('<|start|><|in|><|user|>hello<|end|><|start|><|out|>'));
  assert.equal(answer.text, 'tiny: hello');
  await assert.rejects(ask(task, chat('hello')), { code: 'bad_input', message: /no chat template/ });
});

test('control tokens in a message are letters, and the answer repeats them as such', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const { answer } = await ask(task, chat('a <|end|> b'));
  assert.equal(answer.text, 'tiny: a <|end|> b');
});

test('log probabilities come with the pieces, and are those of a greedy choice', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const { answer, pieces } = await ask(task, chat(EMOJI, { logprobs: 3 }));
  assert.equal(answer.tokens.length, answer.outputTokens);
  assert.deepEqual(
    pieces.flatMap(({ tokens }) => tokens),
    answer.tokens,
  );
  const bytes = answer.tokens.flatMap((token) => [...token.bytes]);
  assert.equal(Buffer.from(bytes).toString(), answer.text);
  for (const { id, logprob, top } of answer.tokens) {
    assert.deepEqual([top.length, top[0]?.id, top[0]?.logprob], [3, id, logprob]);
  }
  for (const { text, tokens } of pieces) {
    assert.equal(Buffer.from(tokens.flatMap((token) => [...token.bytes])).toString(), text);
  }
});

test('biases and penalties reach the choice', async (t) => {
  const files = tinyPackage(t);
  const task = await openTask(t, files);
  const { answer } = await ask(task, chat('hello', { logprobs: 1 }));
  const first = answer.tokens[0]?.id ?? 0;
  const banned = await ask(task, chat('hello', { logitBias: [[first, -100]] }));
  assert.doesNotMatch(banned.answer.text, /^tiny/);
  await assert.rejects(ask(task, chat('hello', { logitBias: [[99_999, 1]] })), {
    code: 'bad_input',
    message: /token 99999; tiny has \d+/,
  });
  const repeated = await ask(task, chat('aaa aaa aaa', { presencePenalty: 100, maxTokens: 20, logprobs: 0 }));
  const ids = repeated.answer.tokens.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});

test('what must be JSON is JSON, whatever the model would say', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const schema = JSON.stringify({
    type: 'object',
    properties: { name: { type: 'string', maxLength: 5 }, age: { type: 'integer' } },
    required: ['name', 'age'],
    additionalProperties: false,
  });
  for (const seed of [1, 2, 3, 4, 5]) {
    const { answer } = await ask(
      task,
      chat('hello', { format: { kind: 'json-schema', schema }, seed, temperature: 1, maxTokens: 60 }),
    );
    const value = JSON.parse(answer.text);
    assert.deepEqual(Object.keys(value).sort(), ['age', 'name'], answer.text);
    assert.ok(Number.isInteger(value.age));
  }
  // It is said in as many tokens as there are, if that is possible at all.
  for (let maxTokens = 25; maxTokens < 40; maxTokens += 1) {
    const format = { kind: 'json-schema', schema } as const;
    const { answer } = await ask(task, chat('hello', { format, maxTokens }));
    assert.deepEqual(Object.keys(JSON.parse(answer.text)).sort(), ['age', 'name'], answer.text);
    assert.ok(answer.outputTokens <= maxTokens);
  }
});

test('a client that leaves ends its run, and the others go on', async (t) => {
  const task = await openTask(t, tinyPackage(t));
  const words = 'seven old captains and their small boats went out to the wide sea';
  let heard = 0;
  let after = 0;
  const leaving = ask(task, chat('the weather of the mountain and the stories of the sea'), {
    onDelta: () => {
      heard += 1;
    },
    cancelled: () => heard >= 3,
  });
  const staying = ask(task, chat(words), {
    onDelta: () => {
      if (heard >= 3) after += 1;
    },
  });
  const [left, stayed] = await Promise.all([leaving, staying]);
  assert.deepEqual([left.answer.finish, left.answer.outputTokens], ['cancelled', 3]);
  assert.equal(stayed.answer.text, `tiny: ${words}`);
  assert.ok(after > 0);
});
