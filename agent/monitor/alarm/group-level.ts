/** Memory pressure of a control group of version 1, counted by an eventfd (admin-guide/cgroup-v1/memory.rst, section 11). */
import { accessSync, closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drainCounter, POLL, type Poller } from '../../linux/poller.ts';
import type { AlarmFile } from './source.ts';

/** The kernel scans much to free little. "low" comes with every large file that is read at a limit. */
const LEVEL = 'medium';
const CONTROL = 'cgroup.event_control';

/** null where this process may not wait for it. */
export function openGroupLevel(name: string, folder: string, poller: Poller): AlarmFile | null {
  const counter = poller.openCounter();
  if (counter === null) return null;
  if (!register(folder, counter)) {
    closeSync(counter);
    return null;
  }
  return {
    name,
    file: counter,
    events: POLL.in,
    take: (came) => {
      drainCounter(counter);
      return (came & POLL.invalid) === 0;
    },
    close: () => closeSync(counter),
  };
}

/** Whether it is worth trying. */
export function hasGroupLevel(folder: string): boolean {
  try {
    accessSync(join(folder, CONTROL), constants.W_OK);
    accessSync(join(folder, 'memory.pressure_level'), constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function register(folder: string, counter: number): boolean {
  let level: number | null = null;
  try {
    level = openSync(join(folder, 'memory.pressure_level'), 'r');
    writeFileSync(join(folder, CONTROL), `${counter} ${level} ${LEVEL}`);
    return true;
  } catch {
    return false;
  } finally {
    if (level !== null) closeSync(level);
  }
}
