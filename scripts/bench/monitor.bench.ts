/**
 * What looking at the device costs: `npm run bench -- monitor [--samples 300] [--cells 2]`.
 *
 * - CPU of one sample in a Node process that is larger than the agent, with cells of 90 MB beside it: user and system time together,
 *   which is where the kernel's walk over page tables goes
 * - the same without cells; with all sensors of a Jetson Orin as files (without the time that its buses take); and what
 *   the background measurement of CPU usage adds (one each ten seconds)
 * - processes that any of it started, as Node itself reports them
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LinuxMonitor } from '../../agent/monitor/monitor.ts';
import { HostLoad } from '../../agent/monitor/os-utils.ts';
import type { Bench } from './bench.ts';
import { quantile } from './stats.ts';

const JETSON = fileURLToPath(new URL('../../test/fixtures/device/jetson-orin/sys', import.meta.url));
const WARM_UP = 50;
/** `process.cpuUsage` counts microseconds, but the kernel's ticks are coarser than one sample. */
const BLOCK = 10;
/** What an expert adds to a bare cell. */
const CELL_BYTES = 50e6;
const LOAD_MEASUREMENTS = 10;
/** How often the agent looks by default, and how often CPU usage is measured beside. */
const LOOKS_A_MEASUREMENT = 5;

export const bench: Bench = async (args, report) => {
  const { values } = parseArgs({
    args: [...args],
    options: { samples: { type: 'string', default: '300' }, cells: { type: 'string', default: '2' } },
  });
  const samples = Number(values.samples);
  const cells = await Promise.all(Array.from({ length: Number(values.cells) }, startCell));
  const started: unknown[] = [];
  const listen = (message: unknown): void => void started.push(message);
  subscribe('child_process', listen);
  try {
    const pids = new Map(
      cells.flatMap(({ pid }, index) => (pid === undefined ? [] : [[`fast-${index}`, pid]])),
    );
    const alone = sampleMs(new LinuxMonitor({ pids: () => new Map() }), samples);
    const withCells = sampleMs(new LinuxMonitor({ pids: () => pids }), samples);
    const jetson = sampleMs(new LinuxMonitor({ pids: () => new Map(), sysRoot: JETSON }), samples);
    const loadMs = await measurementMs();
    report({ metric: 'sample_cpu_p50', value: quantile(withCells, 0.5), unit: 'ms', goal: { atMost: 3 } });
    report({ metric: 'sample_cpu_p90', value: quantile(withCells, 0.9), unit: 'ms' });
    report({ metric: 'sample_cpu_without_cells_p50', value: quantile(alone, 0.5), unit: 'ms' });
    report({
      metric: 'sample_cpu_jetson_files_p50',
      value: quantile(jetson, 0.5),
      unit: 'ms',
      goal: { atMost: 3 },
    });
    report({ metric: 'cpu_usage_measurement', value: loadMs, unit: 'ms' });
    const whole = quantile(withCells, 0.5) + loadMs / LOOKS_A_MEASUREMENT;
    report({ metric: 'look_cpu_with_background', value: whole, unit: 'ms', goal: { atMost: 3 } });
    report({ metric: 'processes_started', value: started.length, unit: 'processes', goal: { atMost: 0 } });
  } finally {
    unsubscribe('child_process', listen);
    for (const cell of cells) cell.kill();
  }
};

/** CPU of one sample, a value a block. */
function sampleMs(monitor: LinuxMonitor, samples: number): number[] {
  for (let index = 0; index < WARM_UP; index++) monitor.sample();
  return Array.from({ length: Math.ceil(samples / BLOCK) }, () => {
    const before = process.cpuUsage();
    for (let index = 0; index < BLOCK; index++) monitor.sample();
    return cpuMs(before) / BLOCK;
  });
}

/** CPU of one measurement of how busy the CPUs are, the library being loaded. */
async function measurementMs(): Promise<number> {
  const load = new HostLoad();
  await load.measure();
  const before = process.cpuUsage();
  for (let index = 0; index < LOAD_MEASUREMENTS; index++) await load.measure();
  return cpuMs(before) / LOAD_MEASUREMENTS;
}

function cpuMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function startCell(): Promise<ChildProcess> {
  const code = `const held = Buffer.alloc(${CELL_BYTES}, 1); setInterval(() => held[0], 1e6); console.log('up');`;
  const cell = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(cell.stdout, 'data');
  return cell;
}
