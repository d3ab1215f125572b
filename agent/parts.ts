/** What an agent is made of: the ports as the composition needs them, and what it is constructed with. */
import type { ExpertPackage } from './cells/cell.ts';
import type { Config } from './config.ts';
import type { Logger } from './logging.ts';
import type { Alarm } from './monitor/alarm/alarm.ts';
import type { Policy } from './policy.ts';
import type { Clock, Log, Memory, Monitor, OnCached, OnCellExit, Runtime } from './ports.ts';
import type { Preparation } from './preparation/preparation.ts';
import type { DecisionQuery, DecisionRow, Explanation, LogHealth } from './service.ts';
import type { PolicyNames } from './tuning.ts';
import type { CellId, ExpertId } from './types.ts';

/** The record as the agent needs it: what the loop writes, what people read. */
export interface Ledger extends Log, Memory {
  decisions(query: DecisionQuery): readonly DecisionRow[];
  explain(id: number): Explanation | null;
  health(): LogHealth;
  /** Bounded work that keeps the record within its limits; called when there is time. */
  maintain(): 'done' | 'more';
}

/** The cells as the agent needs them: what the core asks of them, and their end. */
export interface AgentRuntime extends Runtime {
  /** Ends all cells, politely until the deadline; resolves when every exit was reported. No load is taken after it. */
  shutdown(timeoutMs: number): Promise<void>;
}

export interface RuntimeHooks {
  /** Throws an AgentError where there is no such expert. */
  readonly locate: (expert: ExpertId) => ExpertPackage;
  readonly onExit: OnCellExit;
  readonly onCached: OnCached;
}

export interface AgentMonitor extends Monitor {
  /** Memory limit of the control groups that this process is in; null where there is none. */
  limitBytes(): number | null;
}

export interface AgentOptions {
  readonly config: Config;
  readonly version: string;
  readonly expertsDir: string;
  readonly installDir: string;
  /** File that keeps which versions of fetched experts count. */
  readonly recordPath: string;
  /** Where experts lie that were added by hand; nowhere if it is not given. */
  readonly addedDir?: string;
  /** The configuration as it is written now; throws where it cannot be used. Without it, it never changes by itself. */
  readonly readConfig?: () => Config;
  readonly openRuntime: (hooks: RuntimeHooks) => AgentRuntime;
  /** Makes what loads faster than the packages; null: they are loaded as they are. */
  readonly preparation: Pick<Preparation, 'prepare' | 'find' | 'status' | 'tidy' | 'stop'> | null;
  readonly openMonitor: (pids: () => ReadonlyMap<CellId, number>) => AgentMonitor;
  /** Rings when memory becomes short between two looks at it; never rejects. Without it, looks alone tell. */
  readonly openAlarm?: (onAlarm: () => void) => Promise<Pick<Alarm, 'stop'>>;
  readonly policyOf: (names: PolicyNames) => Policy;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly sha256: (text: string) => string;
}
