/**
 * The process of a cell: it belongs to the agent that started it and ends with it. When the agent dies, however it
 * does, the channel closes and the cell exits; should it be inside a run just then, which blocks the thread, the
 * kernel kills it (where `prctl` can be reached; elsewhere it exits when the run ends).
 */
import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { availableParallelism, setPriority } from 'node:os';
import { Channel } from '../cells/channel.ts';
import { CHANNEL_FD, type FromCell, PARKING_FOLDER, PROTOCOL, type ToCell } from '../cells/protocol.ts';
import { AgentError, whereOf } from '../errors.ts';
import { openLibc } from '../linux/libc.ts';
import type { Lane } from '../types.ts';
import { Host, type HostOptions } from './host.ts';
import { CellMemory } from './memory.ts';
import { openParking } from './parking/parking.ts';
import { openSession, startRuntime } from './session.ts';
import { findTask } from './tasks/index.ts';
import type { Parker } from './weights.ts';

interface LaneSettings {
  readonly threads: number;
  /** Added to the kernel's choice of victims when memory runs out (proc(5)); the agent's own stays at 0. */
  readonly oomScoreAdj: number;
  /** Nice value: whoever generates for seconds lets those pass who need a millisecond. */
  readonly nice: number;
}

const SETTLE_AFTER_MS = 1_000;

/**
 * One thread in the fast lane: its runs take about a millisecond, where a second thread gains a quarter at best and
 * takes a core from everybody else. Up to four in the heavy lane: prompts are bound by arithmetic and scale with
 * cores; steps are bound by memory bandwidth, which four cores of such boards use up.
 */
export function laneSettings(lane: Lane, cores: number): LaneSettings {
  return lane === 'fast'
    ? { threads: 1, oomScoreAdj: 500, nice: 0 }
    : { threads: Math.min(cores, 4), oomScoreAdj: 800, nice: 5 };
}

/**
 * Turns this process into a cell. `args` are its id and its lane, as the agent appends them to the command.
 * Rejects with AgentError `usage` where nobody is at the other end.
 */
export async function startCell(
  args: readonly string[],
  find: HostOptions['findTask'] = findTask,
): Promise<void> {
  const [id, lane] = args;
  if (id === undefined || (lane !== 'fast' && lane !== 'heavy')) throw notForPeople();
  const { threads, oomScoreAdj, nice } = laneSettings(lane, availableParallelism());
  yieldToOthers(oomScoreAdj, nice);
  hideUncaughtMessages();
  const libc = await openLibc();
  libc.dieWithParent();
  const host = new Host({
    send: (message) => channel.send(message),
    findTask: find,
    startRuntime,
    openSession: (files, path) => openSession(files, path, threads),
    threads,
    memory: new CellMemory(libc),
    parker: lane === 'heavy' ? await openParker() : null,
    settleAfterMs: SETTLE_AFTER_MS,
  });
  const channel = connect(host);
  // A terminal sends Ctrl-C to the whole group; the agent decides what it means. A service manager does the same
  // with SIGTERM: then what is under way is ended in order.
  process.on('SIGINT', () => {});
  process.once('SIGTERM', () => end(host));
  channel.send({ type: 'ready', protocol: PROTOCOL } satisfies FromCell);
}

/** null where weights cannot leave memory, or nobody said where their copies may lie. */
async function openParker(): Promise<Parker | null> {
  const folder = process.env[PARKING_FOLDER];
  const parking = folder === undefined ? null : await openParking();
  if (folder === undefined || parking === null) return null;
  return { folder, watch: () => parking.watch() };
}

function connect(host: Host): Channel {
  const leave = () => process.exit(0);
  return new Channel(openSocket(), {
    onMessage: (value) => {
      const message = value as ToCell;
      if (message.type === 'stop') end(host);
      else host.receive(message);
    },
    onBroken: (error) => {
      throw error;
    },
    onClosed: leave,
  });
}

function openSocket(): Socket {
  try {
    return new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
  } catch {
    throw notForPeople();
  }
}

function end(host: Host): void {
  void host.stop().finally(() => process.exit(0));
}

/** Both are best effort: without them the cell works as well, until memory or cores run out. */
function yieldToOthers(oomScoreAdj: number, nice: number): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(oomScoreAdj));
  } catch {
    // Not Linux, or a sandbox without /proc.
  }
  try {
    if (nice > 0) setPriority(nice);
  } catch {
    // Forbidden by a sandbox.
  }
}

/** What a process prints when it crashes goes to the log of the agent: where it happened, not what was said. */
function hideUncaughtMessages(): void {
  process.on('uncaughtException', (error) => {
    const { name, frames } = whereOf(error);
    process.stderr.write(`${name} that nobody caught\n${frames.join('\n')}\n`);
    process.exit(70);
  });
}

function notForPeople(): AgentError {
  return new AgentError('usage', 'A cell is started by the agent only.', { hint: 'Run `expertd start`.' });
}
