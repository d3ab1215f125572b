/** What the monitor sees, and what is read from it. No code. null is "no data", never zero. */

/** One look at the device. null is "no data", never zero. */
export interface Sample {
  readonly agentBytes: number | null;
  /** PSS of each cell, by its id. */
  readonly cellBytes: ReadonlyMap<string, number>;
  /** Of that, what is backed by files and clean: the kernel may drop it and read it again. Missing is "no data". */
  readonly cellFileBytes: ReadonlyMap<string, number>;
  readonly availableBytes: number | null;
  readonly totalBytes: number | null;
  /** Memory PSI: share of the last 10 s in which some, or all, tasks waited for memory, in percent. */
  readonly psiSomeAvg10: number | null;
  readonly psiFullAvg10: number | null;
  /** Heat, power and all else that the device tells. */
  readonly device: Device | null;
}

/** By how much heat, throttling and a low battery raise the cost of a load: see heat.ts. */
export interface LoadCost {
  /** 1 on a cool device, never less. */
  readonly factor: number;
  /** What raised it, for people; null where nothing did. */
  readonly why: string | null;
}

export interface Pressure {
  readonly level: 'ok' | 'high';
  /** What the level was read from, for people. */
  readonly why: string;
}

/** All but memory. Plain values: it travels in samples, through the log and to whoever asks for the state. */
export interface Device {
  readonly thermal: Thermal | null;
  readonly throttle: Throttle | null;
  readonly frequency: Frequency | null;
  /** What the device takes, in watts: its input where that is metered, else the sum of the rails that are. */
  readonly watts: number | null;
  readonly rails: readonly Rail[];
  readonly battery: Battery | null;
  /** True while some mains adapter is online. */
  readonly onMains: boolean | null;
  /** Share of all CPU time that was not idle, 0 to 1. */
  readonly cpuBusyShare: number | null;
  readonly pressure: StallShares;
  readonly swap: Swap | null;
  readonly zram: Zram | null;
  readonly cgroup: Cgroup | null;
  /** Sequential reading from the disk that holds the experts, past the page cache; measured once. */
  readonly storageBytesPerSecond: number | null;
  /** 4,096 on most devices, 16,384 on a Raspberry Pi 5. */
  readonly pageBytes: number | null;
}

/** The thermal zone that is nearest to where its device is slowed down. */
export interface Thermal {
  /** The kernel's name of it: `cpu-thermal`. */
  readonly zone: string;
  readonly celsius: number;
  /** Where the device begins to be slowed down: the first passive trip point, 80 where the kernel names none. */
  readonly slowCelsius: number;
}

export type Throttling = 'under-voltage' | 'frequency-capped' | 'throttled' | 'soft-temperature-limit';

export interface Throttle {
  readonly now: readonly Throttling[];
  /** What was seen since the device or the agent started; at least what is `now`. */
  readonly seen: readonly Throttling[];
}

export interface Frequency {
  /** What the CPUs may reach now as a share of what they were built for, of the most limited cluster. */
  readonly allowedShare: number;
  /** What they run at now, as such a share; low on an idle device. */
  readonly currentShare: number | null;
}

export interface Rail {
  readonly name: string;
  readonly watts: number;
}

export interface Battery {
  /** 0 to 1; the fullest of several. */
  readonly share: number;
  readonly discharging: boolean | null;
}

/** PSI: shares of the last 10 s in which some, or all, tasks waited, in percent. Memory's are in the sample. */
export interface StallShares {
  readonly cpuSomeAvg10: number | null;
  readonly ioSomeAvg10: number | null;
  readonly ioFullAvg10: number | null;
}

export interface Swap {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** Swap in compressed memory. */
export interface Zram {
  /** What was stored, before compression. */
  readonly storedBytes: number;
  /** What it takes of the memory. */
  readonly usedBytes: number;
}

/** The control group that leaves this process the least memory: its own or one above it. */
export interface Cgroup {
  readonly version: 1 | 2;
  readonly limitBytes: number | null;
  /** Above it the kernel slows the group down and takes memory back. Version 2 only. */
  readonly highBytes: number | null;
  readonly currentBytes: number | null;
  /** Up to the limit (or `high`), file cache that can be dropped counted as free; null without a limit. */
  readonly availableBytes: number | null;
  /** Processes of the group that were killed for want of memory. */
  readonly oomKills: number | null;
  /** Times the group was slowed down above `high`. Version 2 only. */
  readonly highEvents: number | null;
}

/** What `expertd doctor` looks at: the device, and what it offers to an agent. */
export interface Survey {
  /** The board's name from its device tree: `Raspberry Pi 5 Model B Rev 1.0`. */
  readonly board: string | null;
  readonly availableBytes: number | null;
  readonly totalBytes: number | null;
  readonly device: Device;
  /** False where the kernel was built or started without it. */
  readonly psiOn: boolean;
  /** What tells of a shortage of memory between two samples, for people. */
  readonly alarms: readonly string[];
  /** Whether control groups can count memory; null where there are none. */
  readonly memoryController: boolean | null;
  readonly clock: ClockSurvey;
  /** What the folder of the database is on. */
  readonly stateDisk: DiskSurvey;
  /** null on a C library other than glibc. */
  readonly glibcVersion: string | null;
  /** Processes that ran or wanted to, on average of the last minute. */
  readonly loadAverage: number | null;
  readonly cpus: number;
  /** Processes that the kernel killed for want of memory since it booted. */
  readonly oomKills: number | null;
  /** What the configuration gives expertd; null where the configuration is not valid. */
  readonly budgetBytes: number | null;
  /** What is wrong with the configuration. */
  readonly configProblem: { readonly message: string; readonly hint: string | null } | null;
}

export interface ClockSurvey {
  readonly nowMs: number;
  /** null where nothing tells. */
  readonly synchronised: boolean | null;
}

export interface DiskSurvey {
  readonly path: string;
  readonly totalBytes: number | null;
  readonly freeBytes: number | null;
  /** Why nothing can be written there: `EROFS`, `EACCES`; null where it can. */
  readonly writeError: string | null;
}
