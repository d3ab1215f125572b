/**
 * The names of topics, `R/v1/D/...`, of a root R and a device D. What they carry is told in `documents/shapes.ts`.
 *
 * No dot: NATS refuses it and RabbitMQ takes it for a slash. No wildcard, so that a name can be no filter. At most
 * seven slashes and 256 bytes, the limits of AWS IoT Core.
 */
import { AgentError } from '../errors.ts';

export const DEFAULT_ROOT = 'expertd';
/** In the place of a device: what all devices share. So no device may be called this. */
const CONTROL = 'ctl';
const VERSION = 'v1';
const LEVEL = /^[A-Za-z0-9_-]+$/;
const MAX_DEVICE_CHARS = 64;
/** With `/v1/D/reported` after it, a root of five levels makes a topic of seven slashes. */
const MAX_ROOT_LEVELS = 5;
const MAX_ROOT_CHARS = 160;

const DEVICE_TOPICS = ['status', 'desired', 'reported', 'cmd', 'res', 'rec', 'ack', 'metrics'] as const;
const CONTROL_TOPICS = ['status', 'hello'] as const;
export type DeviceTopic = (typeof DEVICE_TOPICS)[number];
export type ControlTopic = (typeof CONTROL_TOPICS)[number];

export type ParsedTopic =
  | { readonly of: 'device'; readonly device: string; readonly name: DeviceTopic }
  | { readonly of: 'control'; readonly name: ControlTopic };

export function isDeviceId(text: string): boolean {
  return LEVEL.test(text) && text.length <= MAX_DEVICE_CHARS && text !== CONTROL;
}

export function isRoot(text: string): boolean {
  const levels = text.split('/');
  return (
    levels.every((level) => LEVEL.test(level)) &&
    levels.length <= MAX_ROOT_LEVELS &&
    text.length <= MAX_ROOT_CHARS
  );
}

/** The topics of a device. Throws AgentError `bad_topic` where root or id can make none. */
export function topicsOf(root: string, device: string): Readonly<Record<DeviceTopic, string>> {
  needRoot(root);
  if (!isDeviceId(device))
    throw new AgentError('bad_topic', `"${device.slice(0, 100)}" cannot be the id of a device`, {
      hint: `Use 1 to ${MAX_DEVICE_CHARS} of A-Z, a-z, 0-9, "_" and "-", and not "${CONTROL}".`,
    });
  return under(`${root}/${VERSION}/${device}`, DEVICE_TOPICS);
}

/** The topics that devices and collectors share. Throws AgentError `bad_topic` where the root can make none. */
export function controlOf(root: string): Readonly<Record<ControlTopic, string>> {
  needRoot(root);
  return under(`${root}/${VERSION}/${CONTROL}`, CONTROL_TOPICS);
}

/** What a topic names below `root`; null for any other topic. */
export function parseTopic(root: string, topic: string): ParsedTopic | null {
  const start = `${root}/${VERSION}/`;
  if (!topic.startsWith(start)) return null;
  const [who = '', what, ...more] = topic.slice(start.length).split('/');
  if (more.length > 0) return null;
  if (who === CONTROL) {
    const name = CONTROL_TOPICS.find((one) => one === what);
    return name === undefined ? null : { of: 'control', name };
  }
  const name = DEVICE_TOPICS.find((one) => one === what);
  return name === undefined || !isDeviceId(who) ? null : { of: 'device', device: who, name };
}

function needRoot(root: string): void {
  if (isRoot(root)) return;
  throw new AgentError('bad_topic', `"${root.slice(0, 200)}" cannot be the root of topics`, {
    hint: `Use 1 to ${MAX_ROOT_LEVELS} levels of A-Z, a-z, 0-9, "_" and "-", with "/" between.`,
  });
}

function under<const N extends string>(prefix: string, names: readonly N[]): Readonly<Record<N, string>> {
  return Object.fromEntries(names.map((name) => [name, `${prefix}/${name}`])) as Record<N, string>;
}
