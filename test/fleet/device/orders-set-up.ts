/** A device, a broker and a disk for orders; the process can die and begin again over the same folder. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { Orders } from '../../../agent/fleet/device/orders.ts';
import type { ReplyTo } from '../../../agent/fleet/device/orders-replies.ts';
import type { Device, ExpertCommand, Order } from '../../../agent/fleet/device/ports.ts';
import type { FleetPolicy } from '../../../agent/fleet/documents/desired.ts';
import { type Result, readResult } from '../../../agent/fleet/documents/shapes.ts';
import type { Received } from '../../../agent/fleet/link.ts';
import type { Circumstances, Trust } from '../../../agent/fleet/trust/trust.ts';
import type { DecisionRow, ExpertView, Health, StateView } from '../../../agent/service.ts';
import { FakeClock } from '../session/fake-clock.ts';
import { bytes, COMMAND, command, ENROLLED, envelope, HERE } from '../trust/made.ts';

export function expert(id: string, more: Partial<ExpertView> = {}): ExpertView {
  return {
    id,
    version: '1.0.0',
    task: 'retrieval',
    summary: null,
    license: null,
    source: null,
    state: 'absent',
    leases: 0,
    pinned: false,
    cell: null,
    memory: { residentBytes: 50, loadBytes: 60, loadMs: 10, measured: true },
    lastUsedMs: null,
    uses: 0,
    error: null,
    progress: null,
    graph: null,
    ...more,
  };
}

export const HEALTH: Health = { live: true, ready: true, version: '1.2.3', uptimeMs: 5, problems: [] };

export function stateView(more: Partial<StateView> = {}): StateView {
  return {
    budgetBytes: 1_000,
    committedBytes: 0,
    measuredBytes: null,
    agentBytes: null,
    availableBytes: null,
    pressure: { level: 'ok', why: 'nothing' },
    admission: 'open',
    cells: [],
    waiting: 0,
    running: 0,
    policies: { router: [], residency: 'gdsf', combiner: 'best' },
    log: { state: 'ok', reason: null, lastSequence: 0, syncedSequence: 0, dropped: 0 },
    ...more,
  };
}

/** An agent that does at once what it is told, unless `isSlow`: then the test does it. */
export class FakeDevice implements Device {
  readonly done: string[] = [];
  readonly notes: Order[] = [];
  readonly views = new Map<string, ExpertView>();
  isSlow = false;
  restarts = 0;
  rows: readonly DecisionRow[] = [];
  lines: readonly string[] = [];

  constructor(...experts: readonly ExpertView[]) {
    for (const view of experts) this.views.set(view.id, view);
  }

  async overlay(): Promise<void> {}

  async command(command: ExpertCommand, id: string): Promise<ExpertView> {
    this.done.push(`${command} ${id}`);
    await Promise.resolve();
    if (!this.isSlow) this.become(id, AT_ONCE[command]);
    const view = this.views.get(id);
    // As the agent has it: a refusal is no Error.
    const failure = { code: 'model_not_found', message: `no expert "${id}"`, hint: null, retryable: false };
    if (view === undefined) throw { failure, decision: null, retryAfterMs: null, loading: null };
    return view;
  }

  become(id: string, more: Partial<ExpertView>): void {
    const view = this.views.get(id);
    if (view !== undefined) this.views.set(id, { ...view, ...more });
  }

  experts(): readonly ExpertView[] {
    return [...this.views.values()];
  }

  state(): StateView {
    return stateView();
  }

  health(): Health {
    return HEALTH;
  }

  decisions({ limit }: { limit: number }): readonly DecisionRow[] {
    return this.rows.slice(0, limit);
  }

  logTail(lines: number): readonly string[] {
    return this.lines.slice(-lines);
  }

  note(order: Order): void {
    this.notes.push(order);
  }

  restart(): void {
    this.restarts += 1;
  }
}

const AT_ONCE: Readonly<Record<ExpertCommand, Partial<ExpertView>>> = {
  load: { state: 'resident' },
  park: { state: 'parked' },
  unload: { state: 'absent' },
  pin: { pinned: true },
  unpin: { pinned: false },
  clear: { state: 'absent', error: null },
};

/** As a message comes over MQTT 3.1.1. */
export const PLAIN: Received = {
  retain: false,
  dup: false,
  qos: 1,
  responseTopic: null,
  correlationData: null,
};

export class Bench {
  readonly stateDir: string;
  readonly device: FakeDevice;
  readonly clock = new FakeClock();
  readonly sent: Result[] = [];
  /** What was said at response topics. */
  readonly replies: { readonly to: ReplyTo; readonly result: Result }[] = [];
  repliesFail: Error | null = null;
  readonly policies: FleetPolicy[] = [];
  readonly logged: string[] = [];
  here: Circumstances = HERE;
  trust: Trust = ENROLLED;
  isUp = true;
  /** Messages whose PUBACK is lost: the broker has them. */
  acksLost = 0;
  /** The disk is full. */
  keepsNothing = false;
  policyFails: Error | null = null;
  orders: Orders;

  constructor(context: TestContext | null, ...experts: readonly ExpertView[]) {
    this.stateDir = mkdtempSync(join(tmpdir(), 'orders-'));
    context?.after(() => this.remove());
    this.device = new FakeDevice(...experts);
    this.orders = this.#process();
  }

  remove(): void {
    this.orders.stop();
    rmSync(this.stateDir, { recursive: true, force: true });
  }

  /** The process is killed, and another begins. What the old one still does reaches nobody. */
  async restart(how: 'killed' | 'ended' = 'killed'): Promise<void> {
    if (how === 'ended') this.orders.stop();
    this.orders = this.#process();
    await this.orders.start();
  }

  async up(): Promise<void> {
    this.isUp = true;
    this.orders.onUp();
    await settledSoon();
  }

  /** A command that is signed as it should be. */
  async order(more: Record<string, unknown>, how: Partial<Received> = {}): Promise<void> {
    await this.receive(signed(more), how);
  }

  async receive(payload: Uint8Array, how: Partial<Received> = {}): Promise<void> {
    await this.orders.receive(payload, { ...PLAIN, ...how });
    await settledSoon();
  }

  states(id: string): string[] {
    return this.sent.filter((one) => one.id === id && one.part === 1).map(({ state }) => state);
  }

  last(id: string): Result | undefined {
    return this.sent.findLast((one) => one.id === id);
  }

  #process(): Orders {
    const alive = { it: null as Orders | null };
    const orders = new Orders({
      device: this.#only(alive),
      stateDir: this.stateDir,
      circumstances: () => this.here,
      trust: {
        current: () => this.trust,
        keep: (trust) => {
          if (this.keepsNothing) throw new Error('ENOSPC');
          this.trust = trust;
        },
      },
      root: 'expertd',
      reply: async (to, body) => {
        if (this.orders !== alive.it) return new Promise(() => {});
        await this.#needLink();
        if (this.repliesFail !== null) throw this.repliesFail;
        this.replies.push({ to, result: readResult(Buffer.from(body)) });
      },
      publish: async (_name, body) => {
        if (this.orders !== alive.it) return new Promise(() => {});
        await this.#needLink();
        this.sent.push(readResult(Buffer.from(body)));
        if (this.acksLost === 0) return;
        this.acksLost -= 1;
        this.isUp = false;
        throw new AgentError('link_lost', 'the link was lost', { retryable: true });
      },
      setPolicy: async (policy) => {
        if (this.policyFails !== null) throw this.policyFails;
        this.policies.push(policy);
      },
      // The alarms of a dead process ring for nobody.
      clock: {
        nowMs: () => this.clock.nowMs(),
        at: (atMs, callback) =>
          this.clock.at(atMs, () => {
            if (this.orders === alive.it) callback();
          }),
      },
      log: {
        info: (_fields, message) => void this.logged.push(message),
        warn: (fields, message) => void this.logged.push(`${message} ${JSON.stringify(fields)}`),
      },
      secrets: () => ['http-token-of-this-device'],
    });
    alive.it = orders;
    return orders;
  }

  async #needLink(): Promise<void> {
    await Promise.resolve();
    if (!this.isUp) throw new AgentError('not_connected', 'there is no link', { retryable: true });
  }

  /** The device as long as this process lives: a dead one does nothing. */
  #only(alive: { readonly it: Orders | null }): Device {
    const { device } = this;
    const isAlive = (): boolean => this.orders === alive.it || alive.it === null;
    return {
      overlay: () => device.overlay(),
      command: (command, id) => (isAlive() ? device.command(command, id) : new Promise(() => {})),
      experts: () => device.experts(),
      state: () => device.state(),
      health: () => device.health(),
      decisions: (query) => device.decisions(query),
      logTail: (lines) => device.logTail(lines),
      note: (order) => {
        if (isAlive()) device.note(order);
      },
      restart: () => {
        if (isAlive()) device.restart();
      },
    };
  }
}

export function signed(more: Record<string, unknown>): Uint8Array {
  return bytes(envelope('command', command(more), COMMAND));
}

/** Promises have gone on as far as they can without time. */
export async function settledSoon(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
