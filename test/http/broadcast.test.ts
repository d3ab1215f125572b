/** The pace of `/expertd/v1/events`, by a clock that the tests turn. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { Broadcast, type Listener, MAX_BATCH, MAX_BUFFER_BYTES } from '../../agent/http/broadcast.ts';
import type { DecisionTold } from '../../agent/service.ts';
import { expertView, FakeService } from '../fakes/service.ts';

class CountingService extends FakeService {
  looks = 0;
  override state() {
    this.looks++;
    return super.state();
  }
}

class Ear implements Listener {
  heard = '';
  stuckBytes = 0;
  fate = 'open';
  write(text: string): void {
    this.heard += text;
  }
  bufferedBytes(): number {
    return this.stuckBytes;
  }
  end(): void {
    this.fate = 'ended';
  }
  drop(): void {
    this.fate = 'dropped';
  }
  /** Data of the events of this name, oldest first. */
  events(name: string): Record<string, unknown>[] {
    const blocks = this.heard.split('\n\n').filter((block) => block.includes(`event: ${name}\n`));
    return blocks.map((block) => JSON.parse(block.slice(block.indexOf('data: ') + 6)));
  }
  get heartbeats(): number {
    return this.heard.split('\n').filter((line) => line === ':').length;
  }
}

const told = (id: number, change: Partial<DecisionTold> = {}): DecisionTold => ({
  id,
  atMs: id * 1_000,
  event: 'loaded',
  reasons: [`reason ${id}`],
  choice: null,
  steps: [],
  ...change,
});

let service: CountingService;
let broadcast: Broadcast;
let ear: Ear;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  service = new CountingService();
  broadcast = new Broadcast(service);
  ear = new Ear();
});
afterEach(() => {
  broadcast.close();
  mock.timers.reset();
});

describe('while nobody listens', () => {
  test('nothing is subscribed to and nothing is computed', () => {
    assert.equal(service.subscribers, 0);
    broadcast.join(ear, '');
    assert.deepEqual([service.subscribers, service.looks], [1, 1]);
    service.tell(told(1));
    broadcast.leave(ear);
    assert.equal(service.subscribers, 0);
    mock.timers.tick(120_000);
    assert.equal(service.looks, 1);
    assert.equal(ear.events('decision').length, 0);
  });
});

describe('a listener', () => {
  test('hears its opening, the state, and decisions with their numbers', () => {
    broadcast.join(ear, 'retry: 3000\n\n');
    service.tell(told(7));
    mock.timers.tick(50);
    assert.match(
      ear.heard,
      /^retry: 3000\n\nevent: state\ndata: \{.*\n\nid: 7\nevent: decision\ndata: \{"id":7,/,
    );
    const state = JSON.stringify(ear.events('state')[0]);
    for (const part of ['"budgetBytes":314572800', '"ready":true', '"id":"medical"'])
      assert.ok(state.includes(part), state);
  });

  test('hears of choices who was chosen, and of refusals the code without the sentence', () => {
    broadcast.join(ear, '');
    const candidates = [{ expert: 'medical', score: 1, confidence: 0.9, why: 'a rule' }];
    const choice = {
      request: 'r1',
      expert: 'medical',
      confidence: 0.9,
      candidates,
      router: 'rules',
      language: null,
      predictedLoadMs: 0,
      residency: 'resident' as const,
    };
    const failure = { code: 'pressure', message: 'SECRET', hint: 'SECRET', retryable: true };
    const refuse = { type: 'reject', request: 'r2', failure, retryAfterMs: 500, loading: null } as const;
    const unload = { type: 'unload', expert: 'medical', cell: 'fast-1' } as const;
    service.tell(told(1, { choice, steps: [refuse, unload] }));
    mock.timers.tick(50);
    const [decision] = ear.events('decision');
    assert.deepEqual(decision?.['choice'], {
      request: 'r1',
      expert: 'medical',
      confidence: 0.9,
      router: 'rules',
    });
    const refused = { type: 'reject', request: 'r2', code: 'pressure', retryAfterMs: 500 };
    assert.deepEqual(decision?.['steps'], [refused, unload]);
    assert.doesNotMatch(ear.heard, /SECRET/);
  });

  test('does not hear of looks at the device that nothing followed from, but of the state after them', () => {
    broadcast.join(ear, '');
    service.stateView = { ...service.stateView, measuredBytes: 1 };
    service.tell(told(1, { event: 'sample', reasons: [] }));
    mock.timers.tick(50);
    assert.equal(ear.events('decision').length, 0);
    assert.equal(ear.events('state').at(-1)?.['measuredBytes'], 1);
  });

  test('that comes late hears nothing twice', () => {
    broadcast.join(new Ear(), '');
    service.tell(told(1));
    broadcast.join(ear, '');
    mock.timers.tick(60);
    assert.equal(ear.events('decision').length, 0);
  });

  test('that does not read is dropped, and the others are not', () => {
    const other = new Ear();
    broadcast.join(ear, '');
    broadcast.join(other, '');
    ear.stuckBytes = MAX_BUFFER_BYTES + 1;
    service.tell(told(1));
    mock.timers.tick(50);
    assert.deepEqual([ear.fate, broadcast.size], ['dropped', 1]);
    const heard = ear.heard.length;
    service.tell(told(2));
    mock.timers.tick(50);
    assert.equal(ear.heard.length, heard);
    assert.equal(other.events('decision').length, 2);
  });

  test('is ended politely when the server closes', () => {
    broadcast.join(ear, '');
    broadcast.close();
    assert.deepEqual([ear.fate, broadcast.size, service.subscribers], ['ended', 0, 0]);
  });
});

describe('the pace', () => {
  test('of states is two a second, however much is decided, and every decision is told or counted', () => {
    broadcast.join(ear, '');
    const looksBefore = service.looks;
    for (let id = 1; id <= 5_000; id++) {
      service.stateView = { ...service.stateView, running: id };
      service.tell(told(id));
      if (id % 5 === 0) mock.timers.tick(1);
    }
    mock.timers.tick(1_000);
    const states = ear.events('state').length - 1;
    assert.ok(states >= 3 && states <= 5, `${states} states in two seconds`);
    assert.ok(service.looks - looksBefore <= 6, `${service.looks - looksBefore} looks`);
    assert.equal(ear.events('state').at(-1)?.['running'], 5_000);
    const ids = ear.events('decision').map(({ id }) => id);
    const skipped = ear.events('skipped').reduce((sum, { count }) => sum + Number(count), 0);
    assert.equal(ids.length + skipped, 5_000);
    assert.ok(ids.length <= 22 * MAX_BATCH, `${ids.length} decisions`);
    assert.equal(ids.at(-1), 5_000, 'the newest are kept');
  });

  test('of an idle agent is a heartbeat every 15 s and nothing else', () => {
    broadcast.join(ear, '');
    for (let second = 0; second < 60; second++) {
      service.healthView = { ...service.healthView, uptimeMs: service.healthView.uptimeMs + 1_000 };
      mock.timers.tick(1_000);
    }
    assert.deepEqual([ear.heartbeats, ear.events('state').length], [4, 1]);
  });

  test('a change that no decision made is told within 5 s', () => {
    broadcast.join(ear, '');
    mock.timers.tick(6_000);
    service.stateView = { ...service.stateView, availableBytes: 12_345 };
    mock.timers.tick(5_000);
    assert.equal(ear.events('state').at(-1)?.['availableBytes'], 12_345);
  });
});

test('fetches are told as far as they are, and how they ended; the first state holds how far they were', () => {
  const fetching = (progress: number | null) =>
    expertView('fr', 'retrieval', { state: 'fetching', progress, version: '2.0.0' });
  service.expertList = [fetching(null)];
  broadcast.join(ear, '');
  const steps = [
    fetching(null),
    fetching(0.5),
    fetching(0.5),
    expertView('fr', 'retrieval', { state: 'absent' }),
  ];
  steps.forEach((expert, index) => {
    service.expertList = [expert];
    service.tell(told(index, { event: 'pending', reasons: [] }));
    mock.timers.tick(600);
  });
  const heard = ear.events('progress').map(({ expert, state, progress }) => [expert, state, progress]);
  assert.deepEqual(heard, [
    ['fr', 'fetching', 0.5],
    ['fr', 'absent', null],
  ]);
});
