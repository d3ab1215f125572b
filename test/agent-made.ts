/** An agent with experts on the disk, a fake runtime, a device that a test describes, and a clock that a test moves. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from '../agent/agent.ts';
import type { Manifest } from '../agent/catalog/manifest.ts';
import { loadConfig } from '../agent/configuration.ts';
import { openLogger } from '../agent/logging.ts';
import type { AgentOptions, AgentRuntime } from '../agent/parts.ts';
import type { Answer, OnCellExit } from '../agent/ports.ts';
import { committedBytes } from '../agent/residency.ts';
import type { AskRequest, Refusal, Reply } from '../agent/service.ts';
import type { Sample } from '../agent/types.ts';
import { policyOf } from '../policies/index.ts';
import { writeExpert } from './catalog/folder.ts';
import { chat, unitVectors, WORDS } from './engine.ts';
import { FakeStore } from './fakes/log.ts';
import { type FakeExpert, FakeRuntime } from './fakes/runtime.ts';
import { ManualClock } from './store/clock.ts';

const MB = 1_048_576;

class FakeCells extends FakeRuntime implements AgentRuntime {
  async shutdown(): Promise<void> {
    for (const cell of this.pids().keys()) this.crash(cell, 'stopped by the agent');
  }
}

export interface MadeOptions {
  readonly experts?: Readonly<Record<string, Partial<Manifest>>>;
  /** What they do; `answer` says "words" at once where nothing is given. */
  readonly scripts?: Readonly<Record<string, Partial<FakeExpert>>>;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly preparation?: AgentOptions['preparation'];
}

export class MadeAgent {
  readonly folder = mkdtempSync(join(tmpdir(), 'expertd-agent-'));
  readonly expertsDir = join(this.folder, 'experts');
  readonly clock = new ManualClock();
  readonly store = new FakeStore(committedBytes);
  readonly lines: string[] = [];
  /** What the device has; a test may change it. */
  device = { availableBytes: 4_000 * MB, limitBytes: null as number | null };
  readonly agent: Agent;
  readonly runtime: FakeCells;

  constructor({ experts = {}, scripts = {}, config = {}, preparation = null }: MadeOptions = {}) {
    mkdirSync(this.expertsDir);
    for (const [id, change] of Object.entries(experts)) writeExpert(this.expertsDir, id, change);
    const ids = new Set([...Object.keys(experts), ...Object.keys(scripts)]);
    const scripted = [...ids].map((id): [string, FakeExpert] => [
      id,
      { residentBytes: 20 * MB, run: answer, ...scripts[id] },
    ]);
    let exited: OnCellExit = () => {};
    this.runtime = new FakeCells({
      experts: new Map(scripted),
      onExit: (cell, cause, oomKilled) => exited(cell, cause, oomKilled),
    });
    this.agent = new Agent({
      config: this.config(config),
      version: '0.0.1',
      expertsDir: this.expertsDir,
      installDir: join(this.folder, 'installed'),
      recordPath: join(this.folder, 'rollouts.json'),
      openRuntime: ({ onExit }) => {
        exited = onExit;
        return this.runtime;
      },
      openMonitor: () => ({ sample: () => this.#sample(), limitBytes: () => this.device.limitBytes }),
      preparation,
      policyOf,
      ledger: this.store,
      clock: this.clock,
      log: openLogger({
        level: 'trace',
        isTTY: false,
        toJournal: false,
        write: (line) => void this.lines.push(line),
      }),
      sha256: (text) => `sum of ${text.length}`,
    });
  }

  config(overrides: Readonly<Record<string, unknown>> = {}) {
    return loadConfig({ path: null, overrides: { embedder: null, languageDetector: null, ...overrides } });
  }

  /** Lets everything happen that needs no time and no file. */
  async settled(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  }

  /** Files are hashed before a load, which takes as many turns as it takes. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const endMs = performance.now() + 5_000;
    while (!holds()) {
      if (performance.now() > endMs) throw new Error(`it did not come to this: ${what}`);
      await new Promise(setImmediate);
    }
  }

  /** Until that many requests are being worked on. */
  running(count = 1): Promise<void> {
    return this.until(`${count} running`, () => this.agent.state().running === count);
  }

  stateOf(expert: string): string | undefined {
    return this.agent.experts().find(({ id }) => id === expert)?.state;
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settled();
  }

  #sample(): Sample {
    return {
      agentBytes: 60 * MB,
      cellBytes: new Map(),
      cellFileBytes: new Map(),
      availableBytes: this.device.availableBytes,
      totalBytes: 8_000 * MB,
      psiSomeAvg10: 0,
      psiFullAvg10: 0,
      device: null,
    };
  }
}

async function answer(ask: Parameters<FakeExpert['run']>[0]): Promise<Answer> {
  return ask.kind === 'embeddings' ? unitVectors(ask.texts) : WORDS;
}

export function question(text: string, model: string | null, waitMs: number | null = null): AskRequest {
  return { want: 'chat', model, ask: chat(text), waitMs, keepAliveMs: null };
}

/** How a question ended, and how often that was told. */
export interface Outcome {
  times: number;
  reply: Reply | null;
  refusal: Refusal | null;
}

export function outcomeOf(asked: Promise<Reply>): Outcome {
  const outcome: Outcome = { times: 0, reply: null, refusal: null };
  asked.then(
    (reply) => {
      outcome.times++;
      outcome.reply = reply;
    },
    (refusal: Refusal) => {
      outcome.times++;
      outcome.refusal = refusal;
    },
  );
  return outcome;
}
