/** A device with its disk and a broker that retains one message: processes come and go over the same folder. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Manifest } from '../../../agent/catalog/manifest.ts';
import type { Config } from '../../../agent/config.ts';
import { loadConfig } from '../../../agent/configuration.ts';
import type { Device, Order, Overlay } from '../../../agent/fleet/device/ports.ts';
import { keptOverlay, Twin } from '../../../agent/fleet/device/twin.ts';
import type { Desired, DesiredExpert } from '../../../agent/fleet/documents/desired.ts';
import { type Reported, readReported } from '../../../agent/fleet/documents/shapes.ts';
import type { Circumstances, Trust } from '../../../agent/fleet/trust/trust.ts';
import type { ExpertView } from '../../../agent/service.ts';
import { writeExpert } from '../../catalog/folder.ts';
import { FakeClock } from '../session/fake-clock.ts';
import { bytes, desired, ENROLLED, envelope, HERE, RELEASE } from '../trust/made.ts';
import { expert, HEALTH, stateView } from './orders-set-up.ts';

/** Moments of a process, in which it may be killed. */
export type Step = 'overlay' | 'overlaid' | 'noted' | 'publishing' | 'published';

/** An agent that takes any overlay; what has to be fetched comes when `arrive` says so, or at once. */
export class FakeDevice implements Pick<Device, 'overlay' | 'experts' | 'state' | 'note'> {
  part: Overlay | null;
  readonly taken: (Overlay | null)[] = [];
  readonly notes: Order[] = [];
  /** Rejects what is to be taken from now on. */
  failure: Error | null = null;
  /** By hand, or by the configuration. */
  own: ExpertView[] = [];
  budgetBytes = 1e9;
  readonly #arrived: Set<string> | null;
  readonly #step: (step: Step) => void;
  readonly #hold: Promise<void>;

  constructor(
    part: Overlay | null,
    arrived: Set<string> | null,
    step: (step: Step) => void,
    hold: Promise<void>,
  ) {
    this.part = part;
    this.#arrived = arrived;
    this.#step = step;
    this.#hold = hold;
  }

  async overlay(part: Overlay | null): Promise<void> {
    this.#step('overlay');
    await this.#hold;
    if (this.failure !== null) throw this.failure;
    this.part = part;
    this.taken.push(part);
    this.#step('overlaid');
  }

  experts(): readonly ExpertView[] {
    const fleet = this.part?.experts ?? [];
    const ids = new Set([...fleet.map(({ id }) => id), ...(this.part?.remove ?? [])]);
    return [
      ...this.own.filter(({ id }) => !ids.has(id)),
      ...fleet.map(({ id, version = null, sources }) => {
        const digest = sources[0]?.sha256 ?? '';
        const isHere = this.#arrived === null || this.#arrived.has(digest);
        if (!isHere) return expert(id, { version, state: 'fetching', memory: null });
        return expert(id, { version, files: { bytes: 7, digest, precision: 'fp32', contextTokens: null } });
      }),
    ];
  }

  state() {
    return stateView({ budgetBytes: this.budgetBytes });
  }

  note(order: Order): void {
    this.notes.push(order);
    this.#step('noted');
  }

  /** The ids that the fleet has put here. */
  get ids(): readonly string[] {
    return this.part?.experts.map(({ id }) => id) ?? [];
  }
}

export interface ProcessOptions {
  /** Digests of experts that have come; null: all come at once. */
  readonly arrived?: Set<string> | null;
  readonly circumstances?: () => Circumstances;
  readonly trust?: Trust;
  readonly keepTrust?: (trust: Trust) => void;
  readonly config?: Config;
  readonly onStep?: (step: Step) => void;
  readonly stateDir?: string;
  /** Until then the device takes nothing. */
  readonly hold?: Promise<void>;
}

/** One process: from its start to its end, or to its death. */
export class TwinProcess {
  readonly clock = new FakeClock();
  readonly device: FakeDevice;
  readonly twin: Twin;
  readonly published: Reported[] = [];
  readonly publishedAtMs: number[] = [];
  readonly logged: string[] = [];
  readonly steps: Step[] = [];
  isUp = true;
  trust: Trust;

  constructor(options: ProcessOptions & { stateDir: string }) {
    const { stateDir, circumstances = () => HERE, onStep } = options;
    this.trust = options.trust ?? ENROLLED;
    const step = (name: Step): void => {
      this.steps.push(name);
      onStep?.(name);
    };
    const { arrived = null, hold = Promise.resolve() } = options;
    this.device = new FakeDevice(keptOverlay(stateDir, HERE), arrived, step, hold);
    const log = (fields: Readonly<Record<string, unknown>>, message: string): void => {
      this.logged.push(`${message} ${fields['reason'] ?? ''}`.trim());
    };
    this.twin = new Twin({
      device: {
        overlay: (part) => this.device.overlay(part),
        experts: () => this.device.experts(),
        state: () => this.device.state(),
        note: (order) => this.device.note(order),
        command: () => assert.fail('not asked for'),
        health: () => HEALTH,
        decisions: () => [],
        logTail: () => [],
        restart: () => assert.fail('not asked for'),
      },
      stateDir,
      circumstances,
      trust: {
        current: () => this.trust,
        keep: (trust) => {
          options.keepTrust?.(trust);
          this.trust = trust;
        },
      },
      publish: async (name, body, retain) => {
        assert.equal(name, 'reported');
        assert.equal(retain, true);
        step('publishing');
        if (!this.isUp) throw new Error('the link is lost');
        this.published.push(readReported(Buffer.from(body)));
        this.publishedAtMs.push(this.clock.nowMs());
        step('published');
      },
      isUp: () => this.isUp,
      clock: this.clock,
      log: { info: log, warn: log },
      config: () => options.config ?? LOCAL,
    });
  }

  get last(): Reported {
    return this.published.at(-1) ?? assert.fail('nothing was reported');
  }

  conditions(): readonly string[] {
    return this.last.conditions.filter(({ status }) => status === 'true').map(({ type }) => type);
  }

  /** Lets files and promises go on, a second at a time, until it is so. */
  async until(isSo: () => boolean, what = 'what was waited for'): Promise<void> {
    for (let turn = 0; turn < 3_000 && !isSo(); turn += 1)
      await this.clock.advance(turn % 10 === 9 ? 1_000 : 0);
    assert.ok(isSo(), `${what} did not come: ${JSON.stringify(this.published.at(-1))}`);
  }

  untilPhase(phase: string, gen: number): Promise<void> {
    const isSo = () => this.published.at(-1)?.phase === phase && this.last.gen_seen === gen;
    return this.until(isSo, `${phase} of ${gen}`);
  }
}

export const LOCAL: Config = loadConfig({ path: null, overrides: { memory: { budget: '1GB' } } });

export class World {
  readonly folder: string;
  readonly stateDir: string;
  readonly #processes: TwinProcess[] = [];

  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'expertd-twin-'));
    this.stateDir = join(this.folder, 'state');
    t.after(() => {
      for (const { twin } of this.#processes) twin.stop();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  async start(options: ProcessOptions = {}): Promise<TwinProcess> {
    const process = new TwinProcess({ stateDir: this.stateDir, ...options });
    this.#processes.push(process);
    await process.twin.start();
    process.twin.onUp();
    return process;
  }

  /** A package on this device that a document may name as its source. */
  package(id: string, change: Partial<Manifest> = {}): DesiredExpert {
    const directory = writeExpert(join(this.folder, `sources-${change.version ?? ''}`), id, change);
    return wanted(id, {
      version: change.version ?? '1.0.0',
      digest: `sha256:${sha256(readFileSync(join(directory, 'expert.json')))}`,
      sources: [`file:${directory}`],
    });
  }

  copyOfDisk(name: string): string {
    const to = join(this.folder, name);
    cpSync(this.stateDir, to, { recursive: true });
    return to;
  }
}

/** An expert whose source cannot be read by anybody. */
export function wanted(id: string, more: Partial<DesiredExpert> = {}): DesiredExpert {
  return {
    id,
    version: '1.0.0',
    digest: `sha256:${sha256(id)}`,
    sources: ['file:/nonexistent/for/a/test'],
    ...more,
  };
}

export function message(gen: number, more: Partial<Desired> = {}): Uint8Array {
  return bytes(envelope('desired', desired({ gen, ...more }), RELEASE));
}

export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}
