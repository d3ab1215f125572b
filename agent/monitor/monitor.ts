/**
 * The resource monitor: reads files of /proc and /sys and starts nothing. One file a kind of sensor, reading apart from
 * parsing; what cannot be read is null. Where the sensors are is found once (discovery.ts).
 */
import { join } from 'node:path';
import type { Device, StallShares } from '../device.ts';
import { readText } from '../linux/kernel-files.ts';
import { parseKilobytes } from '../linux/process.ts';
import type { Monitor } from '../ports.ts';
import type { CellId, Sample } from '../types.ts';
import { CgroupReader } from './cgroup.ts';
import { FrequencyReader } from './frequency.ts';
import { readPageBytes } from './page-size.ts';
import { type ProcessName, ProcessSizes } from './process-sizes.ts';
import { parsePsiAvg10 } from './psi.ts';
import { RailsReader, totalWatts } from './rails.ts';
import { SuppliesReader } from './supplies.ts';
import { parseSwap, ZramReader } from './swap.ts';
import { ThermalReader } from './thermal.ts';
import { ThrottleReader } from './throttle.ts';

export interface MonitorOptions {
  /** The running cells' process ids. */
  readonly pids: () => ReadonlyMap<CellId, number>;
  /** Other places for `/proc` and `/sys`: tests have trees of their own. */
  readonly procRoot?: string;
  readonly sysRoot?: string;
  /** What is measured in the background: how busy the CPUs are, 0 to 1, and the speed of the disk. */
  readonly cpuBusyShare?: () => number | null;
  readonly storageBytesPerSecond?: () => number | null;
  /** A clock that never goes back, in ms. */
  readonly nowMs?: () => number;
}

const nothing = (): null => null;
/** The commonest page size, where the kernel does not tell. */
const USUAL_PAGE_BYTES = 4_096;

export class LinuxMonitor implements Monitor {
  readonly #options: Required<MonitorOptions>;
  readonly #sizes: ProcessSizes;
  readonly #cgroups: CgroupReader;
  readonly #thermal: ThermalReader;
  readonly #throttle: ThrottleReader;
  readonly #frequency: FrequencyReader;
  readonly #rails: RailsReader;
  readonly #supplies: SuppliesReader;
  readonly #zram: ZramReader;
  #pageBytes: number | null | undefined;

  constructor(options: MonitorOptions) {
    this.#options = {
      procRoot: '/proc',
      sysRoot: '/sys',
      cpuBusyShare: nothing,
      storageBytesPerSecond: nothing,
      nowMs: () => performance.now(),
      ...options,
    };
    const { procRoot, sysRoot, nowMs } = this.#options;
    this.#sizes = new ProcessSizes(procRoot);
    this.#cgroups = new CgroupReader(procRoot, sysRoot, nowMs);
    this.#thermal = new ThermalReader(sysRoot, nowMs);
    this.#throttle = new ThrottleReader(sysRoot, nowMs);
    this.#frequency = new FrequencyReader(sysRoot, nowMs);
    this.#rails = new RailsReader(sysRoot, nowMs);
    this.#supplies = new SuppliesReader(sysRoot, nowMs);
    this.#zram = new ZramReader(sysRoot, nowMs);
  }

  sample(): Sample & { readonly device: Device } {
    const meminfo = this.#read('meminfo') ?? '';
    const psi = this.#read('pressure/memory') ?? '';
    const device = this.#device(meminfo);
    const cgroup = device.cgroup;
    return {
      ...this.#processes(device.pageBytes ?? USUAL_PAGE_BYTES),
      // What the whole machine has left is of no use to a group that may not take it.
      availableBytes: lesser(parseKilobytes(meminfo, 'MemAvailable'), cgroup?.availableBytes ?? null),
      totalBytes: lesser(parseKilobytes(meminfo, 'MemTotal'), cgroup?.limitBytes ?? null),
      psiSomeAvg10: parsePsiAvg10(psi, 'some'),
      psiFullAvg10: parsePsiAvg10(psi, 'full'),
      device,
    };
  }

  /** The tightest memory limit of the control groups that this process is in; null where there is none. */
  limitBytes(): number | null {
    return this.#cgroups.limitBytes();
  }

  #processes(pageBytes: number): Pick<Sample, 'agentBytes' | 'cellBytes' | 'cellFileBytes'> {
    const pids = this.#options.pids();
    const names: ProcessName[] = ['self', ...pids.values()];
    const sizes = this.#sizes.read(names, pageBytes);
    const cellBytes = new Map<CellId, number>();
    const cellFileBytes = new Map<CellId, number>();
    for (const [cell, pid] of pids) {
      const size = sizes.get(pid);
      if (size === undefined) continue;
      cellBytes.set(cell, size.pssBytes);
      if (size.fileBytes !== null) cellFileBytes.set(cell, size.fileBytes);
    }
    return { agentBytes: sizes.get('self')?.pssBytes ?? null, cellBytes, cellFileBytes };
  }

  #device(meminfo: string): Device {
    const rails = this.#rails.read();
    const { battery, onMains, watts } = this.#supplies.read();
    this.#pageBytes ??= readPageBytes(this.#options.procRoot);
    return {
      thermal: this.#thermal.read(),
      throttle: this.#throttle.read(),
      frequency: this.#frequency.read(),
      watts: totalWatts(rails) ?? watts,
      rails,
      battery,
      onMains,
      cpuBusyShare: this.#options.cpuBusyShare(),
      pressure: this.#stalls(),
      swap: parseSwap(meminfo),
      zram: this.#zram.read(),
      cgroup: this.#cgroups.read(),
      storageBytesPerSecond: this.#options.storageBytesPerSecond(),
      pageBytes: this.#pageBytes,
    };
  }

  #stalls(): StallShares {
    const io = this.#read('pressure/io') ?? '';
    return {
      cpuSomeAvg10: parsePsiAvg10(this.#read('pressure/cpu') ?? '', 'some'),
      ioSomeAvg10: parsePsiAvg10(io, 'some'),
      ioFullAvg10: parsePsiAvg10(io, 'full'),
    };
  }

  #read(path: string): string | null {
    return readText(join(this.#options.procRoot, path));
  }
}

function lesser(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}
