/** Text generation over the generated model, whose answers are known: `ID: ` and the last message again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import type { ChatMessage } from '../../agent/ports.ts';
import { ask, chat, editJson, openTask, tinyPackage } from './generation-asking.ts';

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
    assert.ok((stages['run'] ?? 0) > 0 && (stages['tokenize'] ?? 0) > 0);
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
      if (stage === 'run') steps += 1;
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
