/** Commands against a server over the fake service, found as users' agents are found: through agent.json. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { clientCommands, dispatch } from '../../agent/cli/dispatch.ts';
import type { Io } from '../../agent/cli/io.ts';
import { AgentError } from '../../agent/errors.ts';
import { HttpServer } from '../../agent/http/server.ts';
import { NO_ADDITIONS } from '../fakes/additions.ts';
import { FakeService, FLEET, refusal } from '../fakes/service.ts';
import { healthySurvey } from '../fakes/survey.ts';
import { LOCAL } from '../http/harness.ts';

const CHECKS = {
  config: async (path: string) => {
    if (path.endsWith('bad.json'))
      throw new AgentError('bad_config', '"prot" is unknown', { hint: 'Did you mean "port"?' });
    return '3 experts';
  },
  expert: async () => 'lang-id 1.0.0',
  device: async () => healthySurvey(),
};
const TOKEN = 'a-token-of-enough-characters';
/** Above the largest pid that Linux gives. */
const NO_PID = 2 ** 30;

let directory: string;
let service: FakeService;
let server: HttpServer;
let url: string;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'expertd-cli-'));
  service = new FakeService();
  server = new HttpServer(service, { ...LOCAL, token: TOKEN }, { error() {} });
  url = await server.start();
});
after(async () => {
  await server.stop(1_000);
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => {
  writeFileSync(join(directory, 'agent.json'), JSON.stringify({ pid: process.pid, url }));
  service.asked.length = 0;
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(argv: readonly string[], change: Partial<Io> = {}): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    stdin: (async function* () {})(),
    env: { EXPERTD_STATE_DIR: directory, EXPERTD_HTTP_TOKEN: TOKEN },
    isTTY: false,
    ...change,
  };
  const code = await dispatch(argv, clientCommands(CHECKS, NO_ADDITIONS), '1.2.3', io);
  return { code, out: out.join(''), err: err.join('') };
}

describe('ask', () => {
  test('prints the answer and nothing else', async () => {
    const ran = await run(['ask', 'in which language is this:', 'hola a todos']);
    assert.deepEqual(ran, { code: 0, out: 'Spanish (es), 97 %\n', err: '' });
  });

  test('prints generated text as it comes, and says who answered at a terminal', async () => {
    const ran = await run(['ask', '--model', 'writer', '--max-tokens=5', 'write'], { isTTY: true });
    assert.deepEqual([ran.code, ran.out], [0, 'Hello you\n']);
    assert.match(ran.err, /writer, chosen with 87 %, was absent; why: expertd explain \d+/);
    const ask = service.asked[0]?.ask;
    assert.ok(ask?.kind === 'chat');
    assert.equal(ask.generation.maxTokens, 5);
  });

  test('ends with 4 where no expert is confident', async () => {
    const { code, out } = await run(['ask', 'asdf']);
    assert.equal(code, 4);
    assert.match(out, /No installed expert is confident/);
  });

  test('ends with 4 where the agent refuses, with 1 where it fails, in mid-stream too', async () => {
    service.failures.push(refusal('pressure'), refusal('run_failed'));
    const refused = await run(['ask', 'write']);
    assert.deepEqual([refused.code, refused.out], [4, '']);
    assert.match(refused.err, /Refused with pressure\. Do something else\.\nWhy: expertd explain 41/);
    assert.equal((await run(['ask', 'write'])).code, 1);
    service.betweenPieces = async () => {
      throw refusal('cell_exited');
    };
    const broken = await run(['ask', 'write']);
    service.betweenPieces = async () => {};
    assert.deepEqual([broken.code, broken.out], [1, 'Hel']);
    assert.match(broken.err, /cell_exited/);
  });

  test('takes what is piped in as what the question is about', async () => {
    const stdin = (async function* () {
      yield Buffer.from('hola a ');
      yield Buffer.from('todos');
    })();
    await run(['ask', 'which language is this?', '-'], { stdin });
    const ask = service.asked[0]?.ask;
    assert.ok(ask?.kind === 'chat');
    assert.equal(ask.focus, 'hola a todos');
  });

  test('--json is the reply as it is', async () => {
    const { out } = await run(['ask', '--json', 'what is tachycardia?']);
    assert.equal(JSON.parse(out).model, 'medical');
  });
});

describe('the other commands', () => {
  test('route shows the candidates', async () => {
    const { code, out } = await run(['route', 'what is tachycardia?']);
    assert.equal(code, 0);
    assert.match(out, /^medical, with 90 %, by the router "rules"/);
    assert.match(out, /\n\* {2}medical +0\.900 +90 % {2}words\n/);
    assert.equal((await run(['route', 'asdf'])).code, 4);
  });

  test('status is a page', async () => {
    const { code, out } = await run(['status']);
    assert.equal(code, 0);
    assert.match(out, /^expertd 0\.0\.1, ready, up 1 min 5 s\n/);
    assert.match(out, /memory {4}180\.0 MB of 300\.0 MB committed \(60 %\); measured 171\.0 MB/);
    assert.match(out, /requests {2}1 running, 2 waiting/);
    assert.match(out, /fast-1 +4242 +80\.0 MB +75\.0 MB +20\.0 MB +1 {2}embedder/);
  });

  test('status tells of the fleet, where there is one', async (context) => {
    assert.doesNotMatch((await run(['status'])).out, /^fleet|^twin|^records|^refused/m);
    const before = service.stateView;
    context.after(() => {
      service.stateView = before;
    });
    service.stateView = { ...before, fleet: FLEET };
    const { out } = await run(['status']);
    assert.match(out, /^fleet {5}kitchen at mqtt:\/\/broker:1883, connected$/m);
    assert.match(out, /^twin {6}Fetching; generation 5 applied of 6$/m);
    assert.match(out, /^records {3}12 not acknowledged \(no collector is there\)$/m);
    assert.match(out, /^refused {3}bad_signature 40, expired 1$/m);
    const reason = { code: 'link_lost', message: 'the broker is gone', hint: null, retryable: true };
    service.stateView = { ...before, fleet: { ...FLEET, isUp: false, reason, refused: {} } };
    const lost = (await run(['status'])).out;
    assert.match(lost, /^fleet .*not connected: the broker is gone$/m);
    assert.doesNotMatch(lost, /^refused/m);
  });

  test('experts are a table, one is a page, and actions reach the agent', async () => {
    const { out } = await run(['experts']);
    assert.match(out, /^ID +VERSION +TASK +STATE/);
    assert.match(out, /medical +1\.0\.0 +retrieval +resident \(pinned\) +20\.0 MB +- +3 {2}2023-11-1/);
    assert.match((await run(['experts', 'medical'])).out, /license +Apache-2\.0/);
    await run(['experts', 'unload', 'lang-id']);
    assert.deepEqual(service.commands, ['unload lang-id']);
    const wrong = await run(['experts', 'unlod', 'lang-id']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /Did you mean "unload"/);
    assert.equal((await run(['experts', 'pin'])).code, 2);
    const unknown = await run(['experts', 'medica']);
    assert.equal(unknown.code, 4);
    assert.match(unknown.err, /Did you mean "medical"/);
  });

  test('decisions are a table', async () => {
    const { out } = await run(['decisions', '--limit', '2']);
    assert.equal(out.split('\n').length, 4);
    assert.match(out, /\n43 +2023-11-1\S+ \S+ +\(abstained\)/);
    assert.match(
      (await run(['decisions', '--limit', '0'])).err,
      /--limit must be a whole number from 1 to 1000/,
    );
  });

  test('explain tells the story in the order in which it happened', async () => {
    const { code, out } = await run(['explain', '42']);
    assert.equal(code, 0);
    const order = [
      'Decision 42',
      'Asked',
      '51 characters, language en, sha256 abababababab',
      'Considered',
      'its rule "which language" matches',
      'Chosen',
      'lang-id by the router "rules", with 87 %',
      'Memory',
      'medical: resident -> absent',
      'What happened',
      'medical is evicted to make room',
      'load lang-id in fast-1',
      'Outcome',
      'The load took 118 ms; 120 ms had been predicted.',
      'tokenize  0.2 ms',
      'all       133 ms',
    ];
    let at = 0;
    for (const part of order) {
      const found = out.indexOf(part, at);
      assert.ok(found >= 0, `"${part}" does not come after the others in\n${out}`);
      at = found;
    }
    assert.match((await run(['explain'])).out, /^Decision 44/);
    assert.equal((await run(['explain', '7'])).code, 4);
    assert.equal((await run(['explain', 'last'])).code, 2);
  });

  test('--json is JSON everywhere', async () => {
    for (const argv of [
      ['route', 'x'],
      ['status'],
      ['experts'],
      ['experts', 'medical'],
      ['decisions'],
      ['explain'],
    ]) {
      const { out } = await run([...argv, '--json']);
      assert.equal(typeof JSON.parse(out), 'object', argv.join(' '));
    }
  });

  test('colour is for terminals that want it', async () => {
    const sequence = '\u001b[';
    const env = { EXPERTD_STATE_DIR: directory, EXPERTD_HTTP_TOKEN: TOKEN };
    assert.ok(!(await run(['explain'])).out.includes(sequence));
    assert.ok((await run(['explain'], { isTTY: true, env })).out.includes(sequence));
    assert.ok(
      !(await run(['explain'], { isTTY: true, env: { ...env, NO_COLOR: '1' } })).out.includes(sequence),
    );
  });
});

describe('check', () => {
  test('tells files from folders and ends with 1 where one is bad', async () => {
    const [good, bad] = [join(directory, 'good.json'), join(directory, 'bad.json')];
    for (const path of [good, bad]) writeFileSync(path, '{}');
    const fine = await run(['check', good, directory]);
    assert.deepEqual(
      [fine.code, fine.out],
      [0, `ok   ${good}: 3 experts\nok   ${directory}: lang-id 1.0.0\n`],
    );
    const wrong = await run(['check', bad]);
    assert.deepEqual([wrong.code, wrong.out], [1, '']);
    assert.match(wrong.err, /^bad {2}.*bad\.json: "prot" is unknown\n {5}Did you mean "port"\?/);
    assert.equal(JSON.parse((await run(['check', '--json', bad])).out)[0].failure.code, 'bad_config');
    assert.equal((await run(['check', join(directory, 'none')])).code, 2);
  });
});

describe('an agent that is not there', () => {
  const env = { XDG_STATE_HOME: '/nonexistent' };

  test('is said to be missing, with the place that was looked at', async () => {
    const { code, err } = await run(['status'], { env });
    assert.equal(code, 3);
    assert.match(err, /there is no \/nonexistent\/expertd\/agent\.json\n.*expertd start/);
  });

  test('that left its file behind is said to be gone', async () => {
    writeFileSync(join(directory, 'agent.json'), JSON.stringify({ pid: NO_PID, url }));
    const { code, err } = await run(['status']);
    assert.equal(code, 3);
    assert.match(err, /is gone/);
  });

  test('whose file is broken, or whose port is closed, is 3', async () => {
    for (const text of ['', '{', '{"pid": "1", "url": "x"}', '{"pid": 1}', 'null']) {
      writeFileSync(join(directory, 'agent.json'), text);
      assert.equal((await run(['status'])).code, 3, text);
    }
    const closed = await run(['status', '--url', 'http://127.0.0.1:1']);
    assert.equal(closed.code, 3);
    assert.equal((await run(['status', '--url', 'nonsense'])).code, 2);
  });

  test('a missing token is a refusal', async () => {
    const { code, err } = await run(['status'], { env: { EXPERTD_STATE_DIR: directory } });
    assert.equal(code, 4);
    assert.match(err, /EXPERTD_HTTP_TOKEN/);
  });
});

describe('the command line', () => {
  test('--help and --version need no agent', async () => {
    assert.deepEqual(await run(['--version'], { env: {} }), { code: 0, out: 'expertd 1.2.3\n', err: '' });
    const help = await run(['--help'], { env: {} });
    assert.equal(help.code, 0);
    for (const { name, usage } of clientCommands(CHECKS, NO_ADDITIONS)) {
      assert.match(help.out, new RegExp(`\n  ${name} `));
      assert.deepEqual(await run([name, '--help'], { env: {} }), { code: 0, out: `${usage}\n`, err: '' });
      assert.equal((await run(['help', name])).out, `${usage}\n`);
    }
    assert.equal((await run([])).code, 2);
  });

  test('near misses are named', async () => {
    const command = await run(['exprets']);
    assert.equal(command.code, 2);
    assert.match(command.err, /there is no command "exprets"\nDid you mean "experts"/);
    const flag = await run(['ask', '--modle', 'x', 'y']);
    assert.equal(flag.code, 2);
    assert.match(flag.err, /there is no flag --modle\nDid you mean --model\?\nSee: expertd ask --help/);
    assert.equal((await run(['ask', '--model'])).code, 2);
    assert.equal((await run(['ask'])).code, 2);
  });

  test('after -- everything is the question', async () => {
    await run(['ask', '--', 'write', '--help']);
    const ask = service.asked[0]?.ask;
    assert.ok(ask?.kind === 'chat');
    assert.equal(ask.focus, 'write --help');
  });
});
