/** The monitor as the agent has it: the files of this device, and what is measured in the background. */
import type { CellId } from '../types.ts';
import { LinuxMonitor } from './monitor.ts';
import { HostLoad } from './os-utils.ts';
import type { StorageMeter } from './storage.ts';

export function openMonitor(
  pids: () => ReadonlyMap<CellId, number>,
  storage: StorageMeter | null = null,
): LinuxMonitor {
  const load = new HostLoad();
  return new LinuxMonitor({
    pids,
    cpuBusyShare: () => load.busyShare(),
    storageBytesPerSecond: () => storage?.bytesPerSecond ?? null,
  });
}
