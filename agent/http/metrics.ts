/**
 * `/metrics` in Prometheus' text format: counters and histograms that requests feed, and gauges that are read from the
 * service when somebody scrapes. What is not known is left out, never zero. Only it and genai.ts import prom-client.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ExpertView, Service, StateView } from '../service.ts';
import { GenAiMetrics } from './genai.ts';

/** From the bare overhead of the server to a long generation. */
const DURATION_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

type Reading = readonly [name: string, help: string, read: (state: StateView) => number | null | undefined];

const GAUGES: readonly Reading[] = [
  ['expertd_memory_budget_bytes', 'Bytes that expertd may use in all.', (s) => s.budgetBytes],
  ['expertd_memory_committed_bytes', 'Bytes counted against the budget.', (s) => s.committedBytes],
  ['expertd_memory_measured_bytes', 'Measured PSS of the agent and its cells.', (s) => s.measuredBytes],
  ['expertd_memory_agent_bytes', 'Measured PSS of the agent.', (s) => s.agentBytes],
  ['expertd_memory_available_bytes', 'Memory the device has available.', (s) => s.availableBytes],
  [
    'expertd_pressure_high',
    '1 while the device is short of memory.',
    (s) => flag(s.pressure.level === 'high'),
  ],
  [
    'expertd_load_cost_ratio',
    'By how much heat, throttling or a low battery raise the cost of loads; 1 at best.',
    (s) => s.loadCost?.factor,
  ],
  ...deviceGauges(),
  ['expertd_admission_open', '1 while experts may be loaded.', (s) => flag(s.admission === 'open')],
  ['expertd_requests_waiting', 'Requests that wait for an expert.', (s) => s.waiting],
  ['expertd_requests_running', 'Requests that an expert works on.', (s) => s.running],
  ['expertd_cells', 'Child processes that host experts.', (s) => s.cells.length],
  ['expertd_log_ok', '1 while decisions are recorded.', (s) => flag(s.log.state === 'ok')],
  ['expertd_log_last_sequence', 'Number of the last recorded entry.', (s) => s.log.lastSequence],
  [
    'expertd_log_synced_sequence',
    'Number of the last entry that is safe on disk.',
    (s) => s.log.syncedSequence,
  ],
  ['expertd_fleet_up', '1 while there is a link to the broker.', (s) => s.fleet && flag(s.fleet.isUp)],
  [
    'expertd_fleet_records_waiting',
    'Records that are safe on disk and that no collector has acknowledged.',
    (s) => s.fleet?.recordsWaiting,
  ],
];

/** What the device tells; most devices have a part of it only. */
function deviceGauges(): readonly Reading[] {
  const share = (percent: number | null | undefined) => (percent == null ? null : percent / 100);
  return [
    [
      'expertd_device_temperature_celsius',
      'Temperature where the device is nearest to being slowed down.',
      (s) => s.device?.thermal?.celsius,
    ],
    [
      'expertd_device_slowdown_celsius',
      'Temperature from which on it is slowed down.',
      (s) => s.device?.thermal?.slowCelsius,
    ],
    [
      'expertd_device_throttled',
      '1 while the firmware holds the device back.',
      (s) => (s.device?.throttle ? flag(s.device.throttle.now.length > 0) : null),
    ],
    [
      'expertd_device_cpu_allowed_frequency_ratio',
      'Highest frequency that is allowed now, of the highest there is.',
      (s) => s.device?.frequency?.allowedShare,
    ],
    ['expertd_device_cpu_busy_ratio', 'Share of CPU time that was not idle.', (s) => s.device?.cpuBusyShare],
    ['expertd_device_power_watts', 'Power that the device takes.', (s) => s.device?.watts],
    ['expertd_device_battery_ratio', 'Charge of the battery.', (s) => s.device?.battery?.share],
    [
      'expertd_device_cpu_stall_ratio',
      'Share of the last 10 s in which some task waited for a CPU (PSI).',
      (s) => share(s.device?.pressure.cpuSomeAvg10),
    ],
    [
      'expertd_device_io_stall_ratio',
      'Share of the last 10 s in which some task waited for a disk (PSI).',
      (s) => share(s.device?.pressure.ioSomeAvg10),
    ],
    ['expertd_device_swap_total_bytes', 'Swap space.', (s) => s.device?.swap?.totalBytes],
    ['expertd_device_swap_free_bytes', 'Swap space that is free.', (s) => s.device?.swap?.freeBytes],
    [
      'expertd_device_zram_used_bytes',
      'Memory that compressed swap takes.',
      (s) => s.device?.zram?.usedBytes,
    ],
    ['expertd_cgroup_limit_bytes', 'Tightest memory limit.', (s) => s.device?.cgroup?.limitBytes],
    ['expertd_cgroup_memory_bytes', 'Memory of the limited group.', (s) => s.device?.cgroup?.currentBytes],
    [
      'expertd_device_storage_bytes_per_second',
      'Sequential reads of the disk that holds the experts.',
      (s) => s.device?.storageBytesPerSecond,
    ],
  ];
}

const COUNTERS: readonly Reading[] = [
  ['expertd_log_dropped_entries_total', 'Entries that could not be recorded.', (s) => s.log.dropped],
  ['expertd_expert_loads_total', 'Experts that were loaded.', (s) => s.counts?.loads],
  ['expertd_expert_load_failures_total', 'Loads that failed.', (s) => s.counts?.loadFailures],
  ['expertd_expert_evictions_total', 'Experts that were unloaded.', (s) => s.counts?.evictions],
  [
    'expertd_prefetch_loads_total',
    'Experts that were loaded before they were asked for.',
    (s) => s.prefetch?.loads,
  ],
  ['expertd_prefetch_hits_total', 'Of those, the ones that were asked for.', (s) => s.prefetch?.hits],
  [
    'expertd_prefetch_wasted_bytes_total',
    'Memory of those that left again without having been asked for.',
    (s) => s.prefetch?.wastedBytes,
  ],
  ['expertd_cell_exits_total', 'Cells that ended, whatever the cause.', (s) => s.counts?.cellExits],
];

export class Metrics {
  readonly genAi: GenAiMetrics;
  readonly #registry = new Registry();
  readonly #service: Service;
  readonly #gauges: readonly (readonly [Gauge, Reading])[];
  readonly #counters: readonly (readonly [Counter, Reading])[];
  readonly #durations: Histogram<'route' | 'method' | 'status'>;
  readonly #decisions: Counter<'router' | 'outcome'>;
  readonly #cellBytes: Gauge<'cell' | 'lane'>;
  readonly #expertStates: Gauge<'expert' | 'state'>;
  readonly #expertBytes: Gauge<'expert'>;
  readonly #expertUses: Counter<'expert'>;
  readonly #fleetRefused: Counter<'reason'>;
  readonly #process: { readonly rssBytes: Gauge; readonly cpuSeconds: Counter };

  constructor(service: Service) {
    this.#service = service;
    const registers = [this.#registry];
    this.#gauges = GAUGES.map((reading) => [
      new Gauge({ name: reading[0], help: reading[1], registers }),
      reading,
    ]);
    this.#counters = COUNTERS.map((reading) => [
      new Counter({ name: reading[0], help: reading[1], registers }),
      reading,
    ]);
    this.#durations = new Histogram({
      name: 'expertd_http_request_duration_seconds',
      help: 'Time from the head of a request to the end of its reply.',
      labelNames: ['route', 'method', 'status'],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.genAi = new GenAiMetrics(this.#registry);
    const labelled = <L extends string>(name: string, help: string, ...labelNames: L[]) => ({
      name,
      help,
      labelNames,
      registers,
    });
    this.#decisions = new Counter(
      labelled('expertd_decisions_total', 'Requests by who chose and how they ended.', 'router', 'outcome'),
    );
    this.#cellBytes = new Gauge(
      labelled('expertd_cell_memory_bytes', 'Measured PSS of a cell.', 'cell', 'lane'),
    );
    this.#expertStates = new Gauge(
      labelled('expertd_expert_state', '1 for the state that an expert is in.', 'expert', 'state'),
    );
    this.#expertBytes = new Gauge(
      labelled('expertd_expert_memory_bytes', 'Bytes an expert takes while it is resident.', 'expert'),
    );
    this.#expertUses = new Counter(
      labelled('expertd_expert_uses_total', 'Times an expert was used.', 'expert'),
    );
    this.#fleetRefused = new Counter(
      labelled(
        'expertd_fleet_refused_messages_total',
        'Messages of the fleet that were not followed.',
        'reason',
      ),
    );
    const build = new Gauge(
      labelled('expertd_build_info', 'Always 1; the label names the version.', 'version'),
    );
    build.set({ version: service.health().version }, 1);
    const started = new Gauge(
      labelled('process_start_time_seconds', 'Unix time at which the agent started.'),
    );
    started.set(Math.round(Date.now() / 1_000 - process.uptime()));
    this.#process = {
      rssBytes: new Gauge(labelled('process_resident_memory_bytes', 'Resident memory of the agent.')),
      cpuSeconds: new Counter(labelled('process_cpu_seconds_total', 'CPU time of the agent.')),
    };
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** `route` is a route's pattern, never a path: paths have no bound. */
  served(route: string, method: string, status: number, seconds: number): void {
    this.#durations.observe({ route, method, status }, seconds);
  }

  /** One request that was put to the service: `outcome` is `answered`, `abstained` or a failure's code. */
  decided(router: string, outcome: string): void {
    this.#decisions.inc({ router, outcome });
  }

  text(): Promise<string> {
    this.#readState(this.#service.state());
    this.#readExperts(this.#service.experts());
    this.#process.rssBytes.set(process.memoryUsage.rss());
    const { user, system } = process.cpuUsage();
    setTotal(this.#process.cpuSeconds, (user + system) / 1e6);
    return this.#registry.metrics();
  }

  #readState(state: StateView): void {
    for (const [gauge, [, , read]] of this.#gauges) {
      const value = read(state);
      if (typeof value === 'number') gauge.set(value);
      else gauge.remove();
    }
    for (const [counter, [, , read]] of this.#counters) {
      const value = read(state);
      if (typeof value === 'number') setTotal(counter, value);
      else counter.remove();
    }
    this.#cellBytes.reset();
    for (const cell of state.cells) this.#cellBytes.set({ cell: cell.id, lane: cell.lane }, cell.bytes);
    this.#fleetRefused.reset();
    for (const [reason, count] of Object.entries(state.fleet?.refused ?? {}))
      this.#fleetRefused.inc({ reason }, count);
  }

  #readExperts(experts: readonly ExpertView[]): void {
    this.#expertStates.reset();
    this.#expertBytes.reset();
    this.#expertUses.reset();
    for (const expert of experts) {
      this.#expertStates.set({ expert: expert.id, state: expert.state }, 1);
      this.#expertUses.inc({ expert: expert.id }, expert.uses);
      if (expert.memory !== null) this.#expertBytes.set({ expert: expert.id }, expert.memory.residentBytes);
    }
  }
}

/** Sets a counter whose total somebody else keeps. */
function setTotal(counter: Counter, total: number): void {
  counter.reset();
  counter.inc(total);
}

function flag(is: boolean): number {
  return is ? 1 : 0;
}
