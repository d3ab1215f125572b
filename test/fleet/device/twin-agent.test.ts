/** The twin over a real agent: documents become experts on the disk. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { overlaid } from '../../../agent/fleet/device/overlay.ts';
import type { Overlay } from '../../../agent/fleet/device/ports.ts';
import { Twin } from '../../../agent/fleet/device/twin.ts';
import { type Reported, readReported } from '../../../agent/fleet/documents/shapes.ts';
import { MadeAgent } from '../../agent-made.ts';
import { ENROLLED, HERE } from '../trust/made.ts';
import { message, World } from './twin-set-up.ts';

const TURNS_A_SECOND = 200;

async function joined(t: TestContext) {
  const made = new MadeAgent({
    experts: { shipped: {} },
    // Those that take the place of another prove themselves first.
    scripts: { 'alpha@1.0.0': {}, 'alpha@2.0.0': {} },
    config: { memory: { budget: '300MB' } },
  });
  const own = made.config({ memory: { budget: '300MB' } });
  const { agent, clock } = made;
  await agent.start();
  const published: Reported[] = [];
  const quiet = { info: () => {}, warn: () => {} };
  const twin = new Twin({
    device: {
      overlay: (part: Overlay | null) => agent.reload(part === null ? own : overlaid(own, part)),
      command: (command, expert) => agent.command(command, expert),
      experts: () => agent.experts(),
      state: () => agent.state(),
      health: () => agent.health(),
      decisions: (query) => agent.decisions(query),
      logTail: () => [],
      note: (order) => agent.note(order),
      restart: () => assert.fail('not asked for'),
    },
    stateDir: join(made.folder, 'state'),
    circumstances: () => HERE,
    trust: { current: () => ENROLLED, keep: () => assert.fail('nothing is new') },
    publish: async (_, body) => void published.push(readReported(Buffer.from(body))),
    isUp: () => true,
    clock,
    log: quiet,
    config: () => own,
  });
  const end = agent.subscribe(() => twin.changed());
  t.after(async () => {
    end();
    twin.stop();
    await agent.stop(0);
    rmSync(made.folder, { recursive: true, force: true });
  });
  await twin.start();
  let turns = 0;
  const applied = (gen: number): Promise<void> =>
    made.until(`generation ${gen} is applied`, () => {
      // Reports wait for time; but files are read meanwhile, and no deadline is to pass.
      turns += 1;
      if (turns % TURNS_A_SECOND === 0) clock.advance(1_000);
      return published.at(-1)?.gen_applied === gen && published.at(-1)?.phase === 'Applied';
    });
  return { made, twin, published, applied };
}

test('experts come, are replaced by their next version, and go; what was there before stays', async (t) => {
  const world = new World(t);
  const { made, twin, published, applied } = await joined(t);
  const versions = (): unknown => made.agent.experts().map(({ id, version }) => `${id} ${version}`);

  const first = world.package('alpha');
  await twin.receive(message(1, { experts: [first], budget: '250MB', policy: { residency: 'lru' } }));
  await applied(1);
  assert.deepEqual(versions(), ['alpha 1.0.0', 'shipped 1.0.0']);
  assert.equal(published.at(-1)?.experts[0]?.digest, first.digest);
  assert.equal(made.agent.state().budgetBytes, 250e6);
  assert.equal(made.agent.state().policies.residency, 'lru');

  const second = world.package('alpha', { version: '2.0.0' });
  await twin.receive(message(2, { experts: [second] }));
  await applied(2);
  assert.deepEqual(versions(), ['alpha 2.0.0', 'shipped 1.0.0']);
  assert.equal(made.agent.state().budgetBytes, 300e6);

  await twin.receive(message(3, { experts: [first] }));
  await applied(3);
  assert.deepEqual(versions(), ['alpha 1.0.0', 'shipped 1.0.0'], 'the older version lay beside it');

  await twin.receive(message(4));
  await applied(4);
  assert.deepEqual(versions(), ['shipped 1.0.0']);
  await made.settled();
  const ordered = made.store.entries.flatMap(({ event }) =>
    event.type === 'ordered' ? [`${event.order} ${event.state}`] : [],
  );
  assert.deepEqual(
    ordered,
    [1, 2, 3, 4].map((gen) => `gen ${gen} SUCCEEDED`),
  );
});

test('what the fleet does not want is not here, wherever it lies, until it is wanted again', async (t) => {
  const world = new World(t);
  const { made, twin, applied } = await joined(t);
  const ids = (): unknown => made.agent.experts().map(({ id }) => id);
  await twin.receive(message(1, { experts: [world.package('alpha')], experts_remove: ['shipped'] }));
  await applied(1);
  assert.deepEqual(ids(), ['alpha']);
  await twin.receive(message(2));
  await applied(2);
  assert.deepEqual(ids(), ['shipped']);
});
