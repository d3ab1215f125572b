/**
 * The only importer of node-os-utils, for what it does without starting a process. On Linux its CPU usage is two reads of
 * `/proc/stat` 200 ms apart and its load average one of `/proc/loadavg`; its disk, network, process and system monitors
 * run `df`, `ip`, `ps` and `uname`, and are not used. It costs a megabyte of memory and a millisecond a measurement, so
 * it is loaded when the first measurement is asked for, and asked every ten seconds.
 */

const PERIOD_MS = 10_000;

/** What of the library's CPU monitor is used. */
interface CpuMonitor {
  /** In percent of all CPUs. */
  usage(): Promise<Reading<number>>;
  loadAverage(): Promise<Reading<{ readonly load1: number }>>;
}

type Reading<T> = { readonly success: true; readonly data: T } | { readonly success: false };

/** How busy the CPUs are, measured in the background: who asks gets what was measured last. */
export class HostLoad {
  readonly #open: () => Promise<CpuMonitor | null>;
  readonly #nowMs: () => number;
  #monitor: Promise<CpuMonitor | null> | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;
  #isMeasuring = false;
  #busyShare: number | null = null;

  constructor(open: () => Promise<CpuMonitor | null> = openCpuMonitor, nowMs = () => performance.now()) {
    this.#open = open;
    this.#nowMs = nowMs;
  }

  /** Share of all CPU time that was not idle, 0 to 1; null until the first measurement, or without data. */
  busyShare(): number | null {
    if (!this.#isMeasuring && this.#nowMs() - this.#askedMs >= PERIOD_MS) void this.measure();
    return this.#busyShare;
  }

  /** Resolves when a measurement is done; never rejects. */
  async measure(): Promise<void> {
    this.#askedMs = this.#nowMs();
    this.#isMeasuring = true;
    this.#monitor ??= this.#open();
    const percent = await usageOf(await this.#monitor);
    this.#busyShare = percent === null ? null : Math.min(1, Math.max(0, percent / 100));
    this.#isMeasuring = false;
  }
}

/** Processes that ran or wanted to run, on average of the last minute; null for no data. */
export async function readLoadAverage(): Promise<number | null> {
  const reading = await (await openCpuMonitor())?.loadAverage();
  return reading?.success === true && Number.isFinite(reading.data.load1) ? reading.data.load1 : null;
}

async function usageOf(monitor: CpuMonitor | null): Promise<number | null> {
  try {
    const reading = await monitor?.usage();
    return reading?.success === true && Number.isFinite(reading.data) ? reading.data : null;
  } catch {
    return null;
  }
}

async function openCpuMonitor(): Promise<CpuMonitor | null> {
  try {
    const { OSUtils } = await import('node-os-utils');
    return new OSUtils({ cacheEnabled: false, cpu: { cacheEnabled: false } }).cpu;
  } catch {
    return null;
  }
}
