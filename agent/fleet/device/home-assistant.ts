/** Keeps Home Assistant told of this device, or takes back what it was told before it was turned off. */
import { join } from 'node:path';
import { toFailure } from '../../errors.ts';
import { readKept, writeKept } from '../../kept-file.ts';
import type { Clock } from '../../ports.ts';
import type { Received } from '../link.ts';
import { announcements, homeState, homeTopics, idleExperts, PRESSED } from './home.ts';
import type { Hearer } from './member.ts';
import type { Device } from './ports.ts';

export interface HomeAssistantOptions {
  /** `fleet.homeAssistant` of the configuration. */
  readonly settings: false | { readonly prefix: string };
  readonly root: string;
  /** The id of this device in its fleet. */
  readonly id: string;
  readonly version: string;
  readonly device: Pick<Device, 'health' | 'state' | 'experts' | 'command' | 'note'>;
  /** Experts that the router works with. */
  readonly senses: () => readonly string[];
  readonly stateDir: string;
  /** Retained, QoS 1. Resolves when the broker has it. */
  readonly publish: (topic: string, body: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
}

/** In the state directory: JSON, a list of the topics under which the broker keeps something of ours. */
export const HOME_FILE = join('fleet', 'home.json');
const LEAST_BETWEEN_MS = 5_000;
/** Anybody at the broker may press: a load takes its time, and must be worth it. */
const LEAST_BETWEEN_PRESSES_MS = 10_000;

export class HomeAssistant implements Hearer {
  readonly #options: HomeAssistantOptions;
  #isAnnounced = false;
  #isStopped = false;
  /** What the broker has of the state. */
  #told: string | null = null;
  #cancel: (() => void) | null = null;
  #nextPressMs = Number.NEGATIVE_INFINITY;
  readonly #refused = new Map<string, number>();

  constructor(options: HomeAssistantOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {}

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  onUp(): void {
    void this.#announce();
  }

  /** Tells a changed state, at most every few seconds; a link that was lost meanwhile tells it when it is back. */
  changed(): void {
    const { settings, clock } = this.#options;
    if (settings === false || !this.#isAnnounced || this.#isStopped || this.#cancel !== null) return;
    this.#cancel = clock.at(clock.nowMs() + LEAST_BETWEEN_MS, () => {
      this.#cancel = null;
      void this.#try(() => this.#tell());
    });
  }

  /** Messages at the button that were not followed, by reason, since the start. */
  refused(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refused);
  }

  /** The button: nobody signed it, so it can do no more than free memory. */
  async receive(payload: Uint8Array, { retain }: Pick<Received, 'retain'>): Promise<void> {
    const { settings, clock, device } = this.#options;
    if (settings === false) return;
    const nowMs = clock.nowMs();
    if (retain) return this.#refuse('retained');
    if (payload.byteLength !== PRESSED.length || Buffer.from(payload).toString() !== PRESSED)
      return this.#refuse('no_press');
    if (nowMs < this.#nextPressMs) return this.#refuse('too_soon');
    this.#nextPressMs = nowMs + LEAST_BETWEEN_PRESSES_MS;
    const idle = idleExperts(device.experts(), this.#options.senses());
    device.note({
      order: 'home',
      what: 'unload',
      state: 'ACCEPTED',
      why: idle.join(', ') || 'nobody is idle',
    });
    for (const expert of idle) await this.#try(() => device.command('unload', expert));
  }

  #refuse(reason: 'retained' | 'no_press' | 'too_soon'): void {
    const count = (this.#refused.get(reason) ?? 0) + 1;
    this.#refused.set(reason, count);
    if (count > 1) return;
    const fields = { reason, topic: 'home-unload' };
    this.#options.log.warn(fields, 'a press is not followed; more like it are only counted');
  }

  async #announce(): Promise<void> {
    this.#told = null;
    await this.#try(async () => {
      const messages = this.#messages();
      const topics = [...messages.map(({ topic }) => topic), ...this.#stateTopic()];
      const before = this.#kept();
      // First what may be there, then what is there: a crash in between forgets nothing.
      this.#keep([...new Set([...before, ...topics])]);
      for (const topic of before.filter((one) => !topics.includes(one)))
        await this.#options.publish(topic, '');
      for (const { topic, body } of messages) await this.#options.publish(topic, body);
      this.#keep(topics);
      this.#isAnnounced = true;
      await this.#tell();
    });
  }

  async #tell(): Promise<void> {
    const { device, publish } = this.#options;
    const body = JSON.stringify(homeState(device.health(), device.state(), device.experts()));
    const [topic] = this.#stateTopic();
    if (topic === undefined || body === this.#told) return;
    await publish(topic, body);
    this.#told = body;
  }

  #messages(): ReturnType<typeof announcements> {
    const { settings, root, id, version } = this.#options;
    return settings === false ? [] : announcements({ prefix: settings.prefix, root, device: id, version });
  }

  #stateTopic(): readonly string[] {
    const { settings, root, id } = this.#options;
    return settings === false ? [] : [homeTopics({ root, device: id }).state];
  }

  /** What cannot be read announces nothing: then nothing is taken back either. */
  #kept(): readonly string[] {
    try {
      const value: unknown = JSON.parse(readKept(join(this.#options.stateDir, HOME_FILE)) ?? '[]');
      return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
    } catch {
      return [];
    }
  }

  #keep(topics: readonly string[]): void {
    const before = this.#kept();
    if (topics.length === before.length && topics.every((topic) => before.includes(topic))) return;
    writeKept(join(this.#options.stateDir, HOME_FILE), `${JSON.stringify(topics)}\n`);
  }

  /** Nothing depends on Home Assistant: what fails is said, and done again at the next connection. */
  async #try(work: () => Promise<unknown>): Promise<void> {
    try {
      if (!this.#isStopped) await work();
    } catch (error) {
      const { code, message } = toFailure(error);
      if (code !== 'not_connected' && code !== 'link_lost')
        this.#options.log.warn({ why: message }, 'Home Assistant was not told');
    }
  }
}
