/**
 * What is wrong with a device, from what was seen of it: pure, a function a check. Each finding says what it means for
 * expertd and how to mend it. Where nothing can be seen, the finding says "no data" and never that all is well.
 */
import type { Survey } from '../device.ts';
import { bytes } from './print.ts';

export type Status = 'ok' | 'no data' | 'warning' | 'problem';

export interface Finding {
  readonly check: string;
  readonly status: Status;
  /** What was found, and what it means. */
  readonly said: string;
  /** What to do; null where there is nothing to do. */
  readonly fix: string | null;
}

const MB = 1_048_576;
/** Bytes a second. A class 10 card does 10 MB, a good one 40 to 90, an NVMe disk 400 and more. */
const SLOW_STORAGE = { problem: 8 * MB, warning: 25 * MB } as const;
const FULL_DISK = { problem: 64 * MB, warning: 512 * MB } as const;
/** heat.ts raises the cost of loads within as many degrees. */
const WARM_CELSIUS = 10;
/** A board without a battery for its clock starts in its past. */
const LEAST_PLAUSIBLE_MS = Date.UTC(2025, 0, 1);
const LEAST_GLIBC = [2, 34] as const;
const LOW_CHARGE = 0.2;
const BUSY_PER_CPU = 2;
const KERNEL_LINE = 'the kernel command line (Raspberry Pi: /boot/firmware/cmdline.txt)';

/** Every check of the device, in the order in which they are shown. */
export function deviceFindings(survey: Survey): readonly Finding[] {
  return CHECKS.map((check) => check(survey));
}

const CHECKS: readonly ((survey: Survey) => Finding)[] = [
  memory,
  controlGroup,
  pressure,
  alarms,
  controller,
  swap,
  kills,
  heat,
  throttling,
  supply,
  cpu,
  storage,
  disk,
  clock,
  libc,
  pages,
];

function memory({ availableBytes, totalBytes, budgetBytes, configProblem }: Survey): Finding {
  if (configProblem !== null) return problem('config', configProblem.message, configProblem.hint);
  if (availableBytes === null || budgetBytes === null)
    return noData('memory', 'the device does not tell how much memory it has');
  const said = `budget ${bytes(budgetBytes)}; ${bytes(availableBytes)} of ${bytes(totalBytes)} available`;
  if (budgetBytes <= availableBytes) return ok('memory', said);
  return warning(
    'memory',
    `${said}: experts would be evicted for want of memory before the budget is reached`,
    'Lower memory.budget, or end other programs. With an agent running, part of this is its own.',
  );
}

function controlGroup({ device: { cgroup } }: Survey): Finding {
  const check = 'limits';
  if (cgroup === null) return noData(check, 'no control group counts the memory of this process');
  const { limitBytes, highBytes, availableBytes, oomKills } = cgroup;
  if (oomKills !== null && oomKills > 0) {
    return warning(
      check,
      `${times(oomKills, 'process')} of this control group ${oomKills === 1 ? 'was' : 'were'} killed at its memory limit`,
      'Raise the limit (systemd: MemoryMax=, Docker: --memory), or lower memory.budget.',
    );
  }
  if (limitBytes === null && highBytes === null) return ok(check, 'no memory limit by a control group');
  const ceilings = [
    ...(limitBytes === null ? [] : [`limit ${bytes(limitBytes)}`]),
    ...(highBytes === null ? [] : [`slowed down above ${bytes(highBytes)}`]),
  ];
  return ok(check, `${ceilings.join(', ')}; ${bytes(availableBytes)} left`);
}

function pressure({ psiOn }: Survey): Finding {
  if (psiOn) return ok('psi', 'the kernel tells of memory pressure');
  return warning(
    'psi',
    'the kernel does not tell of memory pressure (PSI is off): expertd notices a shortage by free memory alone, later',
    `Add psi=1 to ${KERNEL_LINE} and reboot.`,
  );
}

function alarms({ alarms: sources }: Survey): Finding {
  const check = 'alarms';
  if (sources.length > 0) return ok(check, `a shortage of memory is told at once by ${sources.join(', ')}`);
  return noData(check, 'nothing tells of a shortage of memory at once: expertd sees it at its next sample');
}

function controller({ memoryController, board }: Survey): Finding {
  const check = 'cgroup';
  if (memoryController === null) return noData(check, 'there are no control groups');
  if (memoryController) return ok(check, 'control groups count memory');
  const isPi = board?.startsWith('Raspberry Pi') === true;
  return warning(
    check,
    `control groups do not count memory${isPi ? ', as is usual on a Raspberry Pi' : ''}: limits of services and containers have no effect`,
    `Add cgroup_enable=memory to ${KERNEL_LINE} and reboot.`,
  );
}

function swap({ device: { swap, zram } }: Survey): Finding {
  if (swap === null) return noData('swap', 'the kernel does not tell of swap');
  if (swap.totalBytes === 0) {
    return warning(
      'swap',
      'there is neither swap nor zram: what is rarely used cannot leave memory, and a peak ends in a kill',
      'Install systemd-zram-generator (or zram-tools): compressed swap in memory, which wears no card.',
    );
  }
  const used = bytes(swap.totalBytes - swap.freeBytes);
  const kind = zram === null ? 'swap' : 'swap, zram among it';
  return ok('swap', `${bytes(swap.totalBytes)} of ${kind}, ${used} used`);
}

function kills({ oomKills }: Survey): Finding {
  if (oomKills === null) return noData('oom', 'the kernel does not count what it killed for want of memory');
  if (oomKills === 0) return ok('oom', 'nothing was killed for want of memory since the device booted');
  return warning(
    'oom',
    `${times(oomKills, 'process')} ${oomKills === 1 ? 'was' : 'were'} killed for want of memory since the device booted`,
    'Lower memory.budget or raise memory.availableLow; "dmesg" names who was killed.',
  );
}

function heat({ device: { thermal, frequency } }: Survey): Finding {
  if (thermal === null) return noData('heat', 'no sensor tells the temperature');
  const { zone, celsius, slowCelsius } = thermal;
  const share =
    frequency === null ? '' : `; the CPU may reach ${percent(frequency.allowedShare)} of its speed`;
  const said = `${zone} is at ${celsius.toFixed(1)} C, and slows down at ${slowCelsius} C${share}`;
  const fix = 'Cool the device: a heat sink, a fan, air around it.';
  if (celsius >= slowCelsius) return problem('heat', `${said}: loads and answers take longer`, fix);
  if (celsius > slowCelsius - WARM_CELSIUS)
    return warning('heat', `${said}: expertd prefers what is loaded already`, fix);
  return ok('heat', said);
}

function throttling({ device: { throttle } }: Survey): Finding {
  const check = 'throttling';
  if (throttle === null)
    return noData(check, 'the firmware does not tell (only that of a Raspberry Pi does)');
  const fix = throttle.seen.includes('under-voltage')
    ? 'Use the official power supply and a short, thick cable; take off what draws power from USB.'
    : 'Cool the device: a heat sink, a fan, air around it.';
  if (throttle.now.length > 0)
    return problem(check, `held back now: ${throttle.now.join(', ')}; loads take longer`, fix);
  if (throttle.seen.length > 0) return warning(check, `was held back: ${throttle.seen.join(', ')}`, fix);
  return ok(check, 'the firmware holds nothing back');
}

function supply({ device: { battery, onMains, watts } }: Survey): Finding {
  const power = watts === null ? '' : `${watts.toFixed(1)} W`;
  if (battery === null)
    return watts === null ? noData('power', 'nothing meters power') : ok('power', `takes ${power}`);
  const charge = `battery at ${percent(battery.share)}${power === '' ? '' : `, ${power}`}`;
  const drains = onMains !== true && battery.discharging !== false;
  if (drains && battery.share < LOW_CHARGE)
    return warning('power', `${charge}: expertd avoids loads`, 'Charge the battery.');
  return ok('power', charge);
}

function cpu({ loadAverage, cpus }: Survey): Finding {
  if (loadAverage === null) return noData('cpu', 'the load of the CPUs is not known');
  const said = `load ${loadAverage.toFixed(1)} on ${times(cpus, 'CPU')}`;
  if (loadAverage <= cpus * BUSY_PER_CPU) return ok('cpu', said);
  return warning('cpu', `${said}: answers wait for other programs`, '"top" shows who works.');
}

function storage({ device: { storageBytesPerSecond: speed } }: Survey): Finding {
  const check = 'storage';
  if (speed === null)
    return noData(check, 'the disk of the experts was not measured: no large file there, or no direct reads');
  const said = `${bytes(speed)} a second: an expert of 100 MB takes ${((100 * MB) / speed).toFixed(1)} s to read`;
  const fix = 'Move experts and state to an SSD or NVMe disk, or to a card of class A2.';
  if (speed < SLOW_STORAGE.problem) return problem(check, said, fix);
  return speed < SLOW_STORAGE.warning ? warning(check, said, fix) : ok(check, said);
}

function disk({ stateDisk: { path, totalBytes, freeBytes, writeError } }: Survey): Finding {
  if (writeError !== null) {
    const why = writeError === 'EROFS' ? 'its file system is read-only' : writeError;
    return problem(
      'disk',
      `${path} cannot be written (${why}): decisions would not be recorded`,
      'A card that fails turns read-only: look into "dmesg". Else name another folder with --state-dir.',
    );
  }
  if (freeBytes === null) return noData('disk', `${path} does not tell its free space`);
  const said = `${bytes(freeBytes)} of ${bytes(totalBytes)} free for ${path}`;
  const fix = 'Free space on this disk, or lower log.maxBytes.';
  if (freeBytes < FULL_DISK.problem)
    return problem('disk', `${said}: decisions will soon not be recorded`, fix);
  return freeBytes < FULL_DISK.warning ? warning('disk', said, fix) : ok('disk', said);
}

function clock({ clock: { nowMs, synchronised } }: Survey): Finding {
  const fix = 'Turn on time synchronisation: timedatectl set-ntp true.';
  if (nowMs < LEAST_PLAUSIBLE_MS) {
    const said = `the clock says ${new Date(nowMs).toISOString().slice(0, 10)}: certificates fail, and records bear wrong times`;
    return problem('clock', said, fix);
  }
  if (synchronised === null)
    return noData('clock', 'systemd-timesyncd does not run, and nothing else tells of synchronisation');
  return synchronised
    ? ok('clock', 'synchronised')
    : warning('clock', 'not synchronised yet: records may bear wrong times', fix);
}

function libc({ glibcVersion }: Survey): Finding {
  const needed = LEAST_GLIBC.join('.');
  const fix = 'Debian 12, Raspberry Pi OS bookworm, Ubuntu 22.04, JetPack 6, or newer.';
  if (glibcVersion === null)
    return problem('libc', `this system has no glibc, and ONNX Runtime needs ${needed} or newer`, fix);
  const [major = 0, minor = 0] = glibcVersion.split('.').map(Number);
  const isOld = major < LEAST_GLIBC[0] || (major === LEAST_GLIBC[0] && minor < LEAST_GLIBC[1]);
  if (isOld) return problem('libc', `glibc ${glibcVersion}; ${needed} or newer is needed`, fix);
  return ok('libc', `glibc ${glibcVersion}`);
}

function pages({ device: { pageBytes } }: Survey): Finding {
  if (pageBytes === null) return noData('pages', 'the size of memory pages is not known');
  const larger = pageBytes > 4_096 ? '; processes take a little more memory than on 4 kB pages' : '';
  return ok('pages', `pages of ${bytes(pageBytes)}${larger}`);
}

function ok(check: string, said: string): Finding {
  return { check, status: 'ok', said, fix: null };
}

function noData(check: string, said: string): Finding {
  return { check, status: 'no data', said, fix: null };
}

function warning(check: string, said: string, fix: string): Finding {
  return { check, status: 'warning', said, fix };
}

function problem(check: string, said: string, fix: string | null): Finding {
  return { check, status: 'problem', said, fix };
}

function times(count: number, noun: string): string {
  const plural = noun.endsWith('s') ? `${noun}es` : `${noun}s`;
  return `${count} ${count === 1 ? noun : plural}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
