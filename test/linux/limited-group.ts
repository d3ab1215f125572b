/** A memory control group with a limit, below the own one, for as long as a test takes. Version 1: of version 2 none may hold both groups and processes. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findMemoryGroups } from '../../agent/linux/control-groups.ts';

const TRIES = 100;
let made = 0;

/** Why there can be none here; false where there can. */
export function whyNoGroup(): string | false {
  try {
    rmdirSync(makeGroup(1_000_000_000));
    return false;
  } catch (error) {
    return `needs a memory control group of version 1 that may be written to: ${String(error)}`;
  }
}

export class LimitedGroup {
  readonly folder: string;
  readonly #ends: { readonly child: ChildProcess; readonly ended: Promise<unknown> }[] = [];

  /** Gone after the test, with all that still runs in it. */
  constructor(context: TestContext, limitBytes: number) {
    this.folder = makeGroup(limitBytes);
    context.after(() => this.#remove());
  }

  /** Starts a program inside. */
  spawn(file: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const child = spawn('sh', ['-c', enter, this.folder, file, ...args], options);
    this.#ends.push({ child, ended: once(child, 'exit') });
    return child;
  }

  async #remove(): Promise<void> {
    for (const { child } of this.#ends) child.kill('SIGKILL');
    await Promise.all(this.#ends.map(({ ended }) => ended));
    // A process that has ended leaves its group a moment later.
    for (let left = TRIES; ; left--) {
      try {
        return rmdirSync(this.folder);
      } catch (error) {
        if (left === 0) throw error;
        await sleep(20);
      }
    }
  }
}

function makeGroup(limitBytes: number): string {
  const own = findMemoryGroups('/proc', '/sys').find(({ version }) => version === 1);
  if (own === undefined) throw new Error('there is none');
  const folder = join(own.folder, `expertd-test-${process.pid}-${++made}`);
  mkdirSync(folder);
  try {
    writeFileSync(join(folder, 'memory.limit_in_bytes'), String(limitBytes));
    // Else a device with swap would swap before it kills.
    writeFileSync(join(folder, 'memory.swappiness'), '0');
  } catch (error) {
    rmdirSync(folder);
    throw error;
  }
  return folder;
}
