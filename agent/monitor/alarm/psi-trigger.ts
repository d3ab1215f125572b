/** A trigger of pressure stall information: an event as soon as tasks waited too long (Documentation/accounting/psi.rst). */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { POLL } from '../../linux/poller.ts';
import type { AlarmFile } from './source.ts';

/**
 * Some task waited for memory for 0.2 s within 2 s. Without CAP_SYS_RESOURCE the kernel takes only windows of whole 2 s,
 * from Linux 6.5 on, and looks at them every 2 s; with it, ten times a window. The NUL at the end is its to replace.
 */
const TRIGGER = 'some 200000 2000000\0';
const FLAGS = constants.O_RDWR | constants.O_NONBLOCK;
/** The control group is gone, or the file. */
const GONE = POLL.error | POLL.hangUp | POLL.invalid;

/** null where the kernel has no PSI or does not let this process wait for it. */
export function openPsiTrigger(name: string, path: string): AlarmFile | null {
  const file = armed(path);
  if (file === null) return null;
  return {
    name,
    file,
    events: POLL.priority,
    take: (came) => (came & GONE) === 0,
    close: () => closeSync(file),
  };
}

function armed(path: string): number | null {
  let file: number | null = null;
  try {
    file = openSync(path, FLAGS);
    // Files of the kernel have no size. One that has is a copy of somebody's, not to be written to.
    if (fstatSync(file).size > 0) throw new RangeError(`${path} is not the kernel's`);
    writeSync(file, TRIGGER);
    return file;
  } catch {
    if (file !== null) closeSync(file);
    return null;
  }
}
