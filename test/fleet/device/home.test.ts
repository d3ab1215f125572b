import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import {
  announcements,
  homeState,
  homeTopics,
  idleExperts,
  PRESSED,
} from '../../../agent/fleet/device/home.ts';
import { HomeAssistant, type HomeAssistantOptions } from '../../../agent/fleet/device/home-assistant.ts';
import { topicsOf } from '../../../agent/fleet/topics.ts';
import { coolDevice } from '../../fakes/survey.ts';
import { FakeClock } from '../session/fake-clock.ts';
import { expert, FakeDevice, HEALTH, settledSoon, stateView } from './orders-set-up.ts';

const IDENTITY = { prefix: 'homeassistant', root: 'site/expertd', device: 'kitchen-1', version: '1.2.3' };

/** Fields of MQTT discovery as Home Assistant documents them for each component: others it refuses. */
const COMMON = [
  'availability_topic',
  'availability_template',
  'payload_available',
  'payload_not_available',
  'device',
  'origin',
  'icon',
  'name',
  'qos',
  'unique_id',
  'json_attributes_topic',
  'json_attributes_template',
];
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  sensor: [
    ...COMMON,
    'device_class',
    'state_class',
    'unit_of_measurement',
    'options',
    'state_topic',
    'value_template',
  ],
  button: [...COMMON, 'command_topic', 'payload_press', 'retain'],
};

test('what is announced is what Home Assistant documents', () => {
  const messages = announcements(IDENTITY);
  const ids = new Set<string>();
  for (const { topic, body } of messages) {
    const [, component = '', id = ''] =
      /^homeassistant\/(sensor|button)\/([A-Za-z0-9_-]+)\/config$/.exec(topic) ?? [];
    const fields = JSON.parse(body);
    assert.equal(fields.unique_id, id, topic);
    ids.add(id);
    for (const field of Object.keys(fields))
      assert.ok(FIELDS[component]?.includes(field), `${component}: ${field}`);
    assert.equal(fields.availability_topic, topicsOf(IDENTITY.root, IDENTITY.device).status);
    assert.match(fields.availability_template, /value_json\.online/);
    assert.deepEqual(fields.device.identifiers, ['site_expertd_kitchen-1'], 'all are of one device');
    assert.equal(typeof fields.origin.name, 'string');
    const needs = component === 'button' ? fields.command_topic : fields.state_topic;
    assert.equal(typeof needs, 'string');
    if (fields.device_class === 'enum')
      assert.equal(fields.unit_of_measurement ?? fields.state_class, undefined);
  }
  assert.equal(ids.size, 4);
});

test('each sensor reads a field of the state, and an enumeration names every value of it', () => {
  const starting = homeState({ ...HEALTH, ready: false }, stateView(), []);
  const degraded = homeState(
    { ...HEALTH, problems: [{ code: 'log', message: 'm', hint: null, retryable: true }] },
    stateView({ device: coolDevice({ thermal: { zone: 'cpu', celsius: 61.7, slowCelsius: 80 } }) }),
    [expert('a', { state: 'resident' }), expert('b'), expert('c', { state: 'resident' })],
  );
  const ready = homeState(HEALTH, stateView(), []);
  assert.deepEqual(starting, {
    state: 'starting',
    temperatureCelsius: null,
    resident: 'none',
    experts: [],
    problems: [],
  });
  assert.deepEqual(degraded, {
    state: 'degraded',
    temperatureCelsius: 62,
    resident: 'a, c',
    experts: ['a', 'c'],
    problems: ['log'],
  });
  const bodies = announcements(IDENTITY).map(({ body }) => JSON.parse(body));
  for (const { value_template: template } of bodies) {
    if (template === undefined) continue;
    const field = /^\{\{ value_json\.(\w+) \}\}$/.exec(template)?.[1] ?? '';
    assert.ok(field in ready, template);
  }
  const options = bodies.find((one) => one.device_class === 'enum')?.options;
  for (const { state } of [starting, degraded, ready]) assert.ok(options.includes(state), state);
});

test('a text that is too long for a state of Home Assistant is cut', () => {
  const many = Array.from({ length: 60 }, (_, index) => expert(`expert-${index}`, { state: 'resident' }));
  const { resident, experts } = homeState(HEALTH, stateView(), many);
  assert.equal(resident.length, 255);
  assert.equal(experts.length, 60);
});

test('the button means those that nobody uses', () => {
  const experts = [
    expert('idle', { state: 'resident' }),
    expert('parked', { state: 'parked' }),
    expert('busy', { state: 'resident', leases: 1 }),
    expert('pinned', { state: 'resident', pinned: true }),
    expert('absent'),
    expert('loading', { state: 'loading' }),
  ];
  assert.deepEqual(idleExperts(experts, []), ['idle', 'parked']);
  assert.deepEqual(
    idleExperts(experts, ['idle']),
    ['parked'],
    'no request brings back what the router works with',
  );
});

class House {
  readonly stateDir: string;
  readonly clock = new FakeClock();
  readonly device = new FakeDevice(expert('medical', { state: 'resident' }), expert('legal'));
  /** What the broker keeps. */
  readonly retained = new Map<string, string>();
  readonly published: string[] = [];
  readonly logged: string[] = [];
  isUp = true;

  constructor(context: TestContext) {
    this.stateDir = mkdtempSync(join(tmpdir(), 'home-'));
    context.after(() => rmSync(this.stateDir, { recursive: true, force: true }));
  }

  async begin(settings: HomeAssistantOptions['settings']): Promise<HomeAssistant> {
    const home = new HomeAssistant({
      settings,
      root: 'expertd',
      id: 'kitchen-1',
      version: '1.2.3',
      device: this.device,
      senses: () => [],
      stateDir: this.stateDir,
      publish: async (topic, body) => {
        if (!this.isUp) throw new AgentError('not_connected', 'no link', { retryable: true });
        this.published.push(topic);
        if (body === '') this.retained.delete(topic);
        else this.retained.set(topic, body);
      },
      clock: this.clock,
      log: { warn: (_fields, message) => void this.logged.push(message) },
    });
    await home.start();
    home.onUp();
    await settledSoon();
    return home;
  }
}

const { state: STATE, press: PRESS } = homeTopics({ root: 'expertd', device: 'kitchen-1' });

test('the topics are those of the device, and of no deeper level', () => {
  assert.deepEqual([STATE, PRESS], ['expertd/v1/kitchen-1/home', 'expertd/v1/kitchen-1/home-unload']);
});

test('it is announced at each connection, and then told of changes only, not too often', async (context) => {
  const house = new House(context);
  const home = await house.begin({ prefix: 'homeassistant' });
  assert.equal(house.retained.size, 5);
  assert.equal(JSON.parse(house.retained.get(STATE) ?? '').resident, 'medical');
  const before = house.published.length;
  for (let time = 0; time < 100; time += 1) home.changed();
  await house.clock.advance(10_000);
  assert.equal(house.published.length, before, 'nothing is another');
  house.device.become('legal', { state: 'resident' });
  for (let time = 0; time < 100; time += 1) home.changed();
  await house.clock.advance(10_000);
  assert.deepEqual(house.published.slice(before), [STATE]);
  assert.equal(JSON.parse(house.retained.get(STATE) ?? '').resident, 'medical, legal');
  home.onUp();
  await settledSoon();
  assert.equal(house.published.length, before + 1 + 5);
  assert.deepEqual(house.logged, []);
});

test('what changed while there was no link is told when it is back', async (context) => {
  const house = new House(context);
  const home = await house.begin({ prefix: 'homeassistant' });
  house.isUp = false;
  house.device.become('legal', { state: 'resident' });
  home.changed();
  await house.clock.advance(10_000);
  house.isUp = true;
  home.onUp();
  await settledSoon();
  assert.equal(JSON.parse(house.retained.get(STATE) ?? '').resident, 'medical, legal');
  assert.deepEqual(house.logged, []);
});

test('turned off it is taken back, under another prefix too; and never on, nothing is said', async (context) => {
  const house = new House(context);
  await house.begin(false);
  assert.deepEqual(house.published, []);
  (await house.begin({ prefix: 'homeassistant' })).stop();
  (await house.begin({ prefix: 'other' })).stop();
  assert.deepEqual([...new Set([...house.retained.keys()].map((topic) => topic.split('/')[0]))].sort(), [
    'expertd',
    'other',
  ]);
  house.isUp = false;
  (await house.begin(false)).stop();
  house.isUp = true;
  const last = await house.begin(false);
  assert.deepEqual([...house.retained.keys()], []);
  const before = house.published.length;
  last.onUp();
  await settledSoon();
  assert.equal(house.published.length, before, 'once is enough');
});

test('the button only unloads, once in a while, and not when it is off', async (context) => {
  const house = new House(context);
  const home = await house.begin({ prefix: 'homeassistant' });
  const press = (text: string, retain = false) => home.receive(Buffer.from(text), { retain });
  await press('');
  await press('unload everything');
  await press('x'.repeat(100_000));
  await press(PRESSED, true);
  assert.deepEqual(house.device.done, []);
  await press(PRESSED);
  house.device.become('legal', { state: 'parked' });
  await press(PRESSED);
  assert.deepEqual(house.device.done, ['unload medical']);
  assert.deepEqual(
    house.device.notes.map(({ order, what, why }) => [order, what, why]),
    [['home', 'unload', 'medical']],
  );
  await house.clock.advance(10_000);
  await press(PRESSED);
  assert.deepEqual(house.device.done, ['unload medical', 'unload legal']);
  await press(PRESSED);
  assert.deepEqual(home.refused(), { no_press: 3, retained: 1, too_soon: 2 });
  assert.equal(house.logged.length, 3, 'each reason is told once');
  home.stop();
  const off = await house.begin(false);
  house.device.become('legal', { state: 'parked' });
  await off.receive(Buffer.from(PRESSED), { retain: false });
  assert.equal(house.device.done.length, 2);
});
