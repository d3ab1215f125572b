/** Request and response of MQTT 5 through a real broker: a device's session and orders, and somebody else's client. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { connectAsync, type MqttClient } from 'mqtt';
import { systemClock } from '../../../agent/clock.ts';
import { Member } from '../../../agent/fleet/device/member.ts';
import { Orders } from '../../../agent/fleet/device/orders.ts';
import { readResult } from '../../../agent/fleet/documents/shapes.ts';
import { topicsOf } from '../../../agent/fleet/topics.ts';
import { PASSWORD, USER } from '../brokers/broker.ts';
import { mosquitto } from '../brokers/mosquitto.ts';
import { Live, scratch } from '../session/live.ts';
import { bytes, command, ENROLLED, envelope, HERE, STRANGER } from '../trust/made.ts';
import { expert, FakeDevice, signed } from './orders-set-up.ts';

const TOPICS = topicsOf('expertd', HERE.device);
const ANSWERS = 'office/ada/answers';
const PATIENCE_MS = 20_000;

/** A device in its fleet, whose agent does at once what it is told; resolves when it hears of commands. */
async function startDevice(context: TestContext, url: string, stateDir: string): Promise<void> {
  const live = new Live(url, HERE.device, [TOPICS.cmd]);
  const { session, log } = live;
  const orders = new Orders({
    device: new FakeDevice(expert('medical')),
    stateDir,
    circumstances: () => HERE,
    trust: { current: () => ENROLLED, keep: () => assert.fail() },
    publish: (name, body, retain) => session.publish(TOPICS[name], body, { qos: 1, retain }),
    reply: ({ topic, correlationData }, body) =>
      session.publish(topic, body, { qos: 1, ...(correlationData === null ? {} : { correlationData }) }),
    root: 'expertd',
    setPolicy: () => assert.fail(),
    clock: systemClock,
    log,
  });
  const drain = { start: () => {}, stop: () => {} };
  const member = new Member({ link: session, hearers: new Map([[TOPICS.cmd, orders]]), drain, session });
  context.after(() => member.stop());
  await member.start();
  await live.until(() => session.isUp, 'up');
}

async function startOffice(context: TestContext, port: number): Promise<MqttClient> {
  const office = await connectAsync(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    username: USER,
    password: PASSWORD,
  });
  context.after(() => office.endAsync(true));
  await office.subscribeAsync([ANSWERS, TOPICS.res], { qos: 1 });
  return office;
}

/** What is heard until this is: each as `topic id state data`. */
function heardUntil(office: MqttClient, last: string): Promise<readonly string[]> {
  const heard: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
  const patience = setTimeout(() => reject(new Error(`only heard ${heard.join(', ')}`)), PATIENCE_MS);
  office.on('message', (topic, payload, { properties }) => {
    const { id, state } = readResult(payload);
    heard.push(`${topic} ${id} ${state} ${properties?.correlationData?.toString() ?? '-'}`);
    if (heard.at(-1) === last) resolve(heard);
  });
  return promise.finally(() => clearTimeout(patience));
}

test('a client of MQTT 5 is answered at its response topic, and on res what it may not ask for', {
  skip: mosquitto.missing ?? false,
}, async (context) => {
  const { folder, remove } = scratch();
  context.after(remove);
  const broker = await mosquitto.open({ folder });
  context.after(() => broker.stop('killed'));
  await startDevice(context, broker.url, folder);
  const office = await startOffice(context, broker.port);
  const hearing = heardUntil(office, `${ANSWERS} fine SUCCEEDED call 4`);
  const ask = (payload: Uint8Array, responseTopic: string, data: string) =>
    office.publishAsync(TOPICS.cmd, Buffer.from(payload), {
      qos: 1,
      properties: { responseTopic, correlationData: Buffer.from(data) },
    });
  await ask(bytes(envelope('command', command({ id: 'forged' }), STRANGER)), ANSWERS, 'call 1');
  await ask(signed({ id: 'other', aud: 'kitchen-2' }), ANSWERS, 'call 2');
  await ask(signed({ id: 'denied' }), 'secret/answers', 'call 3');
  await ask(signed({ id: 'fine', type: 'unload', ctr: 2 }), ANSWERS, 'call 4');
  const heard = await hearing;
  const states = ['ACCEPTED', 'IN_PROGRESS', 'SUCCEEDED'];
  assert.deepEqual(heard, [
    ...states.map((state) => `${TOPICS.res} denied ${state} -`),
    ...states.flatMap((state) => [`${TOPICS.res} fine ${state} -`, `${ANSWERS} fine ${state} call 4`]),
  ]);
});
