/**
 * This device as Home Assistant sees it, if it is told to: three sensors and a button, announced by MQTT discovery
 * (home-assistant.io/integrations/mqtt, "MQTT Discovery"; fields as in sensor.mqtt and button.mqtt there). Pure.
 *
 * Home Assistant signs nothing. So what its button can do is what anybody at the broker may do then: unload experts that
 * nobody uses at the moment. They come back when they are asked for.
 */
import type { ExpertView, Health, StateView } from '../../service.ts';
import { topicsOf } from '../topics.ts';

export interface HomeIdentity {
  /** First level of the topics of discovery; `homeassistant` unless Home Assistant was told another. */
  readonly prefix: string;
  readonly root: string;
  readonly device: string;
  /** Of the agent. */
  readonly version: string;
}

export interface RetainedMessage {
  readonly topic: string;
  readonly body: string;
}

export interface HomeTopics {
  /** Retained: a `HomeState`. */
  readonly state: string;
  /** In: the button was pressed. */
  readonly press: string;
}

/** What the sensors read. */
export interface HomeState {
  readonly state: 'starting' | 'ready' | 'degraded';
  /** Whole degrees: tenths would be a message a second. null is "no data". */
  readonly temperatureCelsius: number | null;
  /** Ids of the experts in memory, in one text. */
  readonly resident: string;
  /** The same one by one, and what is wrong: attributes in Home Assistant. */
  readonly experts: readonly string[];
  readonly problems: readonly string[];
}

/** Home Assistant sends it to `press`. */
export const PRESSED = 'UNLOAD';
/** Home Assistant refuses longer states. */
const MAX_STATE_CHARS = 255;
const NOBODY = 'none';

export function homeTopics({ root, device }: Pick<HomeIdentity, 'root' | 'device'>): HomeTopics {
  const { status } = topicsOf(root, device);
  const own = status.slice(0, -'status'.length);
  return { state: `${own}home`, press: `${own}home-unload` };
}

/** What makes Home Assistant know the device; each retained. An empty body under the same topic takes it back. */
export function announcements(identity: HomeIdentity): readonly RetainedMessage[] {
  const { state, press } = homeTopics(identity);
  const reads = (field: keyof HomeState) => ({
    state_topic: state,
    value_template: `{{ value_json.${field} }}`,
  });
  return [
    entity(identity, 'sensor', 'state', {
      name: 'State',
      icon: 'mdi:brain',
      device_class: 'enum',
      options: ['starting', 'ready', 'degraded'] satisfies HomeState['state'][],
      ...reads('state'),
      json_attributes_topic: state,
      json_attributes_template: '{{ {"problems": value_json.problems} | tojson }}',
    }),
    entity(identity, 'sensor', 'temperature', {
      name: 'Temperature',
      device_class: 'temperature',
      state_class: 'measurement',
      unit_of_measurement: '°C',
      // null becomes "None", which a sensor takes for "unknown".
      ...reads('temperatureCelsius'),
    }),
    entity(identity, 'sensor', 'resident', {
      name: 'Resident experts',
      icon: 'mdi:memory',
      ...reads('resident'),
      json_attributes_topic: state,
      json_attributes_template: '{{ {"experts": value_json.experts} | tojson }}',
    }),
    entity(identity, 'button', 'unload', {
      name: 'Unload idle experts',
      icon: 'mdi:tray-remove',
      command_topic: press,
      payload_press: PRESSED,
      retain: false,
    }),
  ];
}

function entity(
  identity: HomeIdentity,
  component: 'sensor' | 'button',
  what: string,
  fields: Readonly<Record<string, unknown>>,
): RetainedMessage {
  const { prefix, root, device, version } = identity;
  const own = `${root.replaceAll('/', '_')}_${device}`;
  const id = `${own}_${what}`;
  return {
    topic: `${prefix}/${component}/${id}/config`,
    body: JSON.stringify({
      ...fields,
      unique_id: id,
      qos: 1,
      availability_topic: topicsOf(root, device).status,
      availability_template: "{{ 'online' if value_json.online else 'offline' }}",
      payload_available: 'online',
      payload_not_available: 'offline',
      device: {
        identifiers: [own],
        name: device,
        manufacturer: 'expertd',
        model: 'expertd',
        sw_version: version,
      },
      origin: { name: 'expertd', sw_version: version },
    }),
  };
}

export function homeState(health: Health, { device }: StateView, experts: readonly ExpertView[]): HomeState {
  const resident = experts.filter(({ state }) => state === 'resident').map(({ id }) => id);
  const celsius = device?.thermal?.celsius ?? null;
  const working = health.problems.length === 0 ? 'ready' : 'degraded';
  return {
    state: health.ready ? working : 'starting',
    temperatureCelsius: celsius === null ? null : Math.round(celsius),
    resident: resident.length === 0 ? NOBODY : shortened(resident.join(', ')),
    experts: resident,
    problems: health.problems.map(({ code }) => code),
  };
}

/**
 * Whom a press of the button unloads: whoever holds weights or a session, works for nobody and is not pinned. Not the
 * router's own (`senses`), which no request brings back.
 */
export function idleExperts(experts: readonly ExpertView[], senses: readonly string[]): readonly string[] {
  return experts
    .filter(({ state }) => state === 'resident' || state === 'parked')
    .filter(({ id, leases, pinned }) => leases === 0 && !pinned && !senses.includes(id))
    .map(({ id }) => id);
}

function shortened(text: string): string {
  return text.length <= MAX_STATE_CHARS ? text : `${text.slice(0, MAX_STATE_CHARS - 1)}…`;
}
