/** `expertd add` and `expertd remove`: what they ask for, tell the agent, and print. Nothing is added for real. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type AddedExpert, type Additions, type AddWish, addCommand } from '../../agent/cli/add.ts';
import type { ConfigChoice } from '../../agent/cli/check.ts';
import { dispatch } from '../../agent/cli/dispatch.ts';
import { removeCommand } from '../../agent/cli/remove.ts';
import { AgentError } from '../../agent/errors.ts';
import { HttpServer } from '../../agent/http/server.ts';
import { expertView, FakeService, refusal } from '../fakes/service.ts';
import { LOCAL } from '../http/harness.ts';

let stateDir: string;
let service: FakeService;
let server: HttpServer;
let fake: FakeAdditions;
before(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'expertd-add-'));
  service = new FakeService();
  server = new HttpServer(service, LOCAL, { error() {} });
  const url = await server.start();
  writeFileSync(join(stateDir, 'agent.json'), JSON.stringify({ pid: process.pid, url }));
});
after(async () => {
  await server.stop(1_000);
  rmSync(stateDir, { recursive: true, force: true });
});
beforeEach(() => {
  service.commands.length = 0;
  service.expertList = [];
  fake = new FakeAdditions();
});

class FakeAdditions implements Additions {
  readonly done: string[] = [];
  readonly wishes: AddWish[] = [];
  readonly places: ConfigChoice[] = [];
  failure: AgentError | null = null;
  wasThere = true;
  added: Partial<AddedExpert> = {};
  stateDir = stateDir;

  async add(wish: AddWish, place: ConfigChoice, tell: (line: string) => void): Promise<AddedExpert> {
    this.wishes.push(wish);
    this.places.push(place);
    if (this.failure !== null) throw this.failure;
    tell('trying \u001b[31mit');
    this.done.push(`add, ${service.commands.length} reloads before`);
    return {
      id: 'talker',
      version: '1.0.0',
      task: 'text-generation',
      license: 'Apache-2.0',
      diskBytes: 3 * 1_048_576,
      residentBytes: 5 * 1_048_576,
      cache: { tokens: 2_048, bytes: 90 * 1_048_576 },
      isRouted: false,
      manifest: { id: 'talker' },
      notes: ['something was assumed'],
      isNew: true,
      stateDir: this.stateDir,
      ...this.added,
    };
  }

  async remove(id: string): Promise<{ stateDir: string; wasThere: boolean }> {
    if (this.failure !== null) throw this.failure;
    this.done.push(`remove ${id}`);
    return { stateDir: this.stateDir, wasThere: this.wasThere };
  }

  async tidy(): Promise<void> {
    this.done.push(`tidy, ${service.commands.length} reloads before`);
  }
}

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const io = {
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    stdin: (async function* () {})(),
    env: { EXPERTD_STATE_DIR: stateDir },
    isTTY: false,
  };
  const code = await dispatch(argv, [addCommand(fake), removeCommand(fake)], '1.2.3', io);
  return { code, out: out.join(''), err: err.join('') };
}

describe('add', () => {
  test('says what was added, what it takes and how to use it, after the agent has it', async () => {
    const { code, out, err } = await run('add', 'some/folder');
    assert.equal(code, 0);
    assert.equal(
      out,
      `Added talker 1.0.0: text-generation, Apache-2.0, 3.0 MB on the disk.
In memory it takes 5.0 MB; keys and values of 2048 tokens take up to 90.0 MB more.
Note: something was assumed.
Ask it: expertd ask --model talker 'Hello!'; talk to it: expertd chat --model talker
To let it answer what no specialist claims, and speak for medical, legal and computing, set "generalist": "talker" in edge.config.json.
The running agent has it.
`,
    );
    assert.equal(err, 'trying ?[31mit\n');
    assert.deepEqual(service.commands, ['reload']);
    assert.deepEqual(fake.done, ['add, 0 reloads before', 'tidy, 1 reloads before']);
    assert.deepEqual(fake.places[0]?.overrides, { stateDir });
  });

  test('every flag is a wish', async () => {
    await run(
      ...[
        'add',
        '--id',
        'mine',
        '--version=2.0.0',
        '--model',
        'onnx/m.onnx',
        '--summary',
        's',
        '--license',
        'MIT',
      ],
      ...[
        '--language',
        'de',
        '--language',
        'en',
        '--example',
        'one',
        '--example',
        'two',
        '--context',
        '512',
        '--replace',
        'f',
      ],
    );
    assert.deepEqual(fake.wishes, [
      {
        folder: 'f',
        id: 'mine',
        version: '2.0.0',
        model: 'onnx/m.onnx',
        summary: 's',
        license: 'MIT',
        languages: ['de', 'en'],
        examples: ['one', 'two'],
        context: 512,
        replace: true,
        dryRun: false,
      },
    ]);
  });

  test('a dry run prints the manifest and tells no agent', async () => {
    const { code, out, err } = await run('add', '--dry-run', 'f');
    assert.deepEqual([code, JSON.parse(out), service.commands], [0, { id: 'talker' }, []]);
    assert.match(err, /note: something was assumed/);
  });

  test('without an agent it is there at the next start; an agent that cannot take it is a failure', async () => {
    fake.stateDir = join(stateDir, 'elsewhere');
    const alone = await run('add', 'f');
    assert.equal(alone.code, 0);
    assert.match(alone.out, /No agent is running; it will be there at the next start\.\n$/);
    fake.stateDir = stateDir;
    service.failures.push(refusal('bad_config'));
    const refused = await run('add', 'f');
    assert.equal(refused.code, 1);
    assert.match(refused.out, /The running agent did not take it: Refused with bad_config/);
  });

  test('other tasks are used otherwise', async () => {
    const outOf = async (task: string): Promise<string> => {
      fake.added = { task, cache: { tokens: 0, bytes: 0 }, residentBytes: null, isNew: false };
      return (await run('add', 'f')).out;
    };
    assert.match(
      await outOf('text-classification'),
      /had been added before[\s\S]*does not know when to choose it/,
    );
    assert.match(await outOf('feature-extraction'), /"model": "talker" at \/v1\/embeddings/);
    assert.match(await outOf('tensor'), /POST \/v2\/models\/talker\/infer/);
  });

  test('a refusal is told with its fix; wrong usage is 2', async () => {
    fake.failure = new AgentError('not_addable', 'the folder holds no ONNX model', { hint: 'Export it.' });
    assert.deepEqual(await run('add', 'f'), {
      code: 1,
      out: '',
      err: 'expertd: the folder holds no ONNX model\nExport it.\n',
    });
    for (const argv of [
      ['add'],
      ['add', 'a', 'b'],
      ['add', '--version', '1', 'f'],
      ['add', '--context', '3', 'f'],
      ['remove'],
    ])
      assert.equal((await run(...argv)).code, 2, argv.join(' '));
  });
});

describe('remove', () => {
  test('waits until the agent has let go, then deletes; what stood behind it may come back', async () => {
    const states = [
      [expertView('talker', 'text-generation', { origin: 'added', leases: 1 })],
      [expertView('talker', 'text-generation', { origin: null, state: 'unloading' })],
      [expertView('talker', 'text-generation', { origin: 'folder', state: 'absent' })],
    ];
    service.experts = () => states.shift() ?? [];
    // The reload answers with the first.
    states.unshift([]);
    const { code, out, err } = await run('remove', 'talker');
    assert.deepEqual([code, out, states.length], [0, 'Removed talker.\n', 0]);
    assert.equal(err, 'Waiting until the agent has let go of talker (resident).\n');
    assert.deepEqual(fake.done, ['remove talker', 'tidy, 2 reloads before']);
  });

  test('twice is once', async () => {
    fake.wasThere = false;
    const { code, out } = await run('remove', 'talker');
    assert.deepEqual([code, out], [0, 'There was no talker that was added by hand.\n']);
  });

  test('of what was not added is refused', async () => {
    fake.failure = new AgentError('not_addable', '"medical" was not added by hand', { hint: 'It stays.' });
    const { code, err } = await run('remove', 'medical');
    assert.deepEqual([code, service.commands], [1, []]);
    assert.match(err, /"medical" was not added by hand\nIt stays\./);
  });
});
