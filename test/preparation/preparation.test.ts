/** The agent's side: one folder an expert, whole or not there, whatever happens to the processes. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { PrepareCommand } from '../../agent/preparation/process.ts';
import { EDITION } from '../../agent/preparation/record.ts';
import { openNativeApi } from '../../agent/runtime/native/api.ts';
import { folder, namesIn, preparation, tinyPackage } from './made.ts';

/** For what ends by itself. */
const AMPLE_MS = 60_000;

/** A process that dies when it is told to. */
function fragile(phase: string, when: string): PrepareCommand {
  const script = join(import.meta.dirname, 'fragile-process.ts');
  const args = ['--disable-warning=ExperimentalWarning', script, phase, when];
  return { file: process.execPath, args, env: { PATH: process.env['PATH'] ?? '' } };
}

test('an expert is prepared once, by the real processes, and found by the next agent', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const first = preparation(directory);
  assert.equal(first.preparation.find(expert), null);
  await Promise.all([
    first.preparation.prepare(expert, AMPLE_MS),
    first.preparation.prepare(expert, AMPLE_MS),
  ]);
  const found = first.preparation.find(expert);
  assert.deepEqual(namesIn(directory), [`${expert.digest}-1.2.3-test`]);
  assert.equal(found?.directory, join(directory, `${expert.digest}-1.2.3-test`));
  assert.deepEqual([found.model, found.tokenizer], ['model.onnx', 'tokenizer.flat']);
  assert.deepEqual(first.warnings, []);
  const status = first.preparation.status(expert);
  assert.equal(status?.state, 'prepared');
  const written = ['model.onnx', 'model.onnx_data', 'tokenizer.flat'].map(
    (name) => statSync(join(found.directory, name)).size,
  );
  assert.equal(
    status.record?.writtenBytes,
    written.reduce((sum, bytes) => sum + bytes),
  );
  assert.equal(status.record.canary?.otherChoices, 0);
  assert.deepEqual(found.decoder, status.record.canary.decoder);
  // Where the C API cannot be reached there is nothing to see it with.
  const seen = { cache: 'shared', vocabulary: found.decoder?.vocabulary, lastOnly: true };
  assert.deepEqual(found.decoder, (await openNativeApi()) === null ? null : seen);
  // It needs no process any more.
  const second = preparation(directory, { command: fragile('tokenizer', 'at once') });
  await second.preparation.prepare(expert, AMPLE_MS);
  assert.deepEqual(second.preparation.find(expert), found);
  assert.deepEqual(second.warnings, []);
});

/** What is half written, or half said, is treated alike whatever the phase: one phase has them all. */
const MOMENTS: Readonly<Record<string, readonly string[]>> = {
  tokenizer: ['at once', 'after it said so'],
  graph: ['at once', 'while it writes', 'before it says so', 'while it says so', 'after it said so'],
  canary: ['at once', 'after it said so'],
};
for (const [phase, moments] of Object.entries(MOMENTS)) {
  for (const when of moments) {
    test(`killed in ${phase} ${when}: plain files, nothing left behind, and the next agent tries again`, async (t) => {
      const directory = join(folder(t), 'prepared');
      const expert = tinyPackage(t);
      const dying = preparation(directory, { command: fragile(phase, when) });
      await dying.preparation.prepare(expert, AMPLE_MS);
      const found = dying.preparation.find(expert);
      if (phase !== 'tokenizer') assert.equal(found, null, 'a copy that was not proved is not used');
      assert.equal(dying.warnings.length, 1);
      assert.match(JSON.stringify(dying.warnings), new RegExp(`${phase}: its process was killed by SIGKILL`));
      assert.ok(namesIn(directory).every((name) => !name.startsWith('.')));
      const healthy = preparation(directory, { command: fragile('', '') });
      await healthy.preparation.prepare(expert, AMPLE_MS);
      assert.equal(healthy.preparation.find(expert)?.model, 'model.onnx');
      assert.deepEqual(healthy.warnings, []);
    });
  }
}

test('a process that is killed every time is not started for ever', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const tries: (number | undefined)[] = [];
  for (let start = 0; start < 5; start += 1) {
    const { preparation: one } = preparation(directory, { command: fragile('canary', 'at once') });
    await one.prepare(expert, AMPLE_MS);
    tries.push(one.status(expert)?.record?.vainTries);
  }
  assert.deepEqual(tries, [1, 2, 3, 3, 3]);
});

test('a process that crashes by itself is not started again', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  await preparation(directory, { command: fragile('canary', 'crash') }).preparation.prepare(expert, AMPLE_MS);
  const next = preparation(directory, { command: fragile('', '') });
  await next.preparation.prepare(expert, AMPLE_MS);
  assert.equal(next.preparation.find(expert), null);
  assert.match(next.preparation.status(expert)?.reasons.join() ?? '', /canary: .*SIGABRT/);
});

test('whose time passes while another is prepared is loaded as it is, and tried by the next agent', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const { preparation: one } = preparation(directory, { command: fragile('tokenizer', 'never') });
  const first = one.prepare({ ...expert, digest: 'f'.repeat(64) }, 300);
  await one.prepare(expert, 1);
  await first;
  assert.match(one.status(expert)?.reasons.join() ?? '', /others were being prepared/);
  const next = preparation(directory);
  await next.preparation.prepare(expert, AMPLE_MS);
  assert.equal(next.preparation.find(expert)?.model, 'model.onnx');
});

test('a process that takes too long is killed, and so is one that runs when the agent stops', async (t) => {
  const expert = tinyPackage(t);
  const late = preparation(join(folder(t), 'prepared'), {
    command: fragile('tokenizer', 'never'),
  });
  await late.preparation.prepare(expert, 300);
  assert.match(late.preparation.status(expert)?.reasons.join() ?? '', /tokenizer: it took more than \d+ ms/);

  const directory = join(folder(t), 'prepared');
  const stopped = preparation(directory, { command: fragile('tokenizer', 'never') });
  const waiting = stopped.preparation.prepare(expert, AMPLE_MS);
  await stopped.preparation.stop();
  await waiting;
  assert.deepEqual(namesIn(directory), []);
  assert.deepEqual(stopped.warnings, [], 'the end of the agent is no news');
  await stopped.preparation.prepare(tinyPackage(t), AMPLE_MS);
  assert.deepEqual(namesIn(directory), []);
});

test('a program that is not there, and a folder that cannot be made: the expert loads as it is', async (t) => {
  const expert = tinyPackage(t);
  const command = { file: '/nowhere/expertd', args: [], env: {} };
  const missing = preparation(join(folder(t), 'prepared'), { command });
  await missing.preparation.prepare(expert, AMPLE_MS);
  assert.equal(missing.preparation.find(expert), null);
  assert.match(JSON.stringify(missing.warnings), /could not be started/);
  const file = join(folder(t), 'file');
  writeFileSync(file, '');
  const blocked = preparation(join(file, 'prepared'));
  await blocked.preparation.prepare(expert, AMPLE_MS);
  assert.equal(blocked.preparation.status(expert)?.state, 'plain');
  assert.match(JSON.stringify(blocked.warnings), /ENOTDIR/);
});

test('a disk without room: nothing is written, and the reason says how much there is', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const full = preparation(directory, { marginBytes: 2 ** 60 });
  await full.preparation.prepare(expert, AMPLE_MS);
  assert.equal(full.preparation.find(expert), null);
  assert.equal(full.preparation.status(expert)?.record?.writtenBytes, 0);
  assert.match(full.preparation.status(expert)?.reasons.join() ?? '', /bytes free; \d+ are to be written/);
  assert.equal(full.warnings.length, 1);
  // Room was made meanwhile.
  const next = preparation(directory);
  await next.preparation.prepare(expert, AMPLE_MS);
  assert.equal(next.preparation.find(expert)?.model, 'model.onnx');
});

test('what was damaged on the disk is made anew', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const make = async () => {
    const { preparation: one } = preparation(directory, { command: fragile('', '') });
    await one.prepare(expert, AMPLE_MS);
    return one.find(expert)?.directory ?? '';
  };
  const made = await make();
  const path = join(made, 'model.onnx_data');
  const whole = readFileSync(path);
  const link = readdirSync(made).find((name) => name.startsWith('weights-')) ?? '';
  const damages = [
    () => {
      const bytes = Buffer.from(whole);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      chmodSync(path, 0o600);
      writeFileSync(path, bytes);
    },
    () => rmSync(path),
    () => rmSync(join(made, 'prepared.json')),
    () => rmSync(join(made, link)),
    () => {
      rmSync(join(made, 'prepared.json'));
      writeFileSync(join(made, 'prepared.json'), '{"edition": 1');
    },
  ];
  for (const damage of damages) {
    damage();
    assert.equal(await make(), made);
    assert.deepEqual(readFileSync(path), whole);
    assert.ok(existsSync(join(made, link)));
  }
});

test('what an older expertd has made, and a decoder of no known kind, are made anew', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const make = async () => {
    const { preparation: one } = preparation(directory);
    await one.prepare(expert, AMPLE_MS);
    return { found: one.find(expert), record: one.status(expert)?.record };
  };
  const { found, record } = await make();
  assert.ok(found !== null && record != null);
  const canary = { ...record.canary, decoder: { cache: 'none', vocabulary: 8, lastOnly: true } };
  for (const edit of [{ edition: EDITION - 1 }, { canary }]) {
    const path = join(found.directory, 'prepared.json');
    rmSync(path);
    writeFileSync(path, JSON.stringify({ ...record, ...edit }));
    const again = await make();
    assert.deepEqual(again.found, found);
    assert.deepEqual({ ...again.record, tookMs: 0, canary: null }, { ...record, tookMs: 0, canary: null });
  }
});

test('leftovers, other runtimes and experts that are gone are removed; what is used stays', async (t) => {
  const directory = join(folder(t), 'prepared');
  const [kept, gone] = [tinyPackage(t), tinyPackage(t)];
  const { preparation: one } = preparation(directory, { command: fragile('', '') });
  const other = { ...gone, digest: 'f'.repeat(64) };
  await Promise.all([one.prepare(kept, AMPLE_MS), one.prepare(other, AMPLE_MS)]);
  for (const name of ['.making-1', `${kept.digest}-1.0.0-test`]) mkdirSync(join(directory, name));
  assert.equal(namesIn(directory).length, 4);
  await one.tidy(new Set([kept.digest]));
  assert.deepEqual(namesIn(directory), [`${kept.digest}-1.2.3-test`]);
  assert.equal(one.find(other), null);
  assert.notEqual(one.find(kept), null);
});

test('what is being made is no leftover', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const { preparation: one } = preparation(directory, { command: fragile('tokenizer', 'never') });
  const waiting = one.prepare(expert, AMPLE_MS);
  while (namesIn(directory).length === 0) await setImmediate();
  await one.tidy(new Set([expert.digest]));
  assert.equal(namesIn(directory).length, 1);
  await one.stop();
  await waiting;
  assert.deepEqual(namesIn(directory), []);
});

test('an expert with nothing to prepare costs nothing', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const { tokenizer: _, ...rest } = expert.manifest;
  const manifest = { ...rest, task: 'tensor' } as const;
  const { preparation: one, warnings } = preparation(directory);
  await one.prepare({ ...expert, manifest }, AMPLE_MS);
  assert.deepEqual([one.find(expert), warnings, namesIn(directory)], [null, [], []]);
});

test('what is no language model, and what is smaller than a process that prepares, is loaded as it is', async (t) => {
  const directory = join(folder(t), 'prepared');
  const { preparation: made } = preparation(directory, { leastBytes: 2_000_000 });
  const expert = tinyPackage(t);
  await made.prepare(expert, AMPLE_MS);
  assert.deepEqual([made.find(expert), made.status(expert)?.state], [null, 'plain']);
  const { preparation: any } = preparation(directory);
  const other = { ...expert, manifest: { ...expert.manifest, task: 'feature-extraction' as const } };
  await any.prepare(other, AMPLE_MS);
  assert.deepEqual([any.find(other), namesIn(directory)], [null, []]);
});

test('whoever needs no process does not wait for one that works for another expert', async (t) => {
  const directory = join(folder(t), 'prepared');
  const [slow, ready] = [tinyPackage(t), tinyPackage(t)];
  const known = { ...ready, digest: 'e'.repeat(64) };
  const plain = { ...ready, manifest: { ...ready.manifest, task: 'retrieval' as const } };
  await preparation(directory, { command: fragile('', '') }).preparation.prepare(known, AMPLE_MS);
  const { preparation: one } = preparation(directory, { command: fragile('tokenizer', 'never') });
  const waiting = one.prepare({ ...slow, digest: 'f'.repeat(64) }, AMPLE_MS);
  while (namesIn(directory).length === 1) await setImmediate();
  await one.prepare(plain, AMPLE_MS);
  await one.prepare(known, AMPLE_MS);
  assert.notEqual(one.find(known), null);
  await one.stop();
  await waiting;
});

test('what somebody wrote to meanwhile is not given to a cell, which is said once; the next agent makes it anew', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const one = preparation(directory);
  await one.preparation.prepare(expert, AMPLE_MS);
  const path = join(one.preparation.find(expert)?.directory ?? '', 'model.onnx_data');
  const { atime, mtime } = statSync(path);
  const file = openSync(path, 'r+');
  writeSync(file, Uint8Array.of(0x55), 0, 1, 100);
  closeSync(file);
  utimesSync(path, atime, mtime);
  assert.deepEqual([one.preparation.find(expert), one.preparation.find(expert)], [null, null]);
  assert.equal(one.warnings.length, 1);
  assert.match(one.preparation.status(expert)?.reasons.join() ?? '', /written to or removed since/);
  const next = preparation(directory);
  await next.preparation.prepare(expert, AMPLE_MS);
  assert.equal(next.preparation.find(expert)?.model, 'model.onnx');
  assert.deepEqual(next.warnings, []);
});

test('what somebody removed meanwhile is not given to a cell', async (t) => {
  const directory = join(folder(t), 'prepared');
  const expert = tinyPackage(t);
  const { preparation: made } = preparation(directory);
  await made.prepare(expert, AMPLE_MS);
  assert.notEqual(made.find(expert), null);
  rmSync(join(directory, `${expert.digest}-1.2.3-test`), { recursive: true });
  assert.equal(made.find(expert), null);
});
