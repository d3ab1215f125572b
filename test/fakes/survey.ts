/** A device of which everything is known and on which nothing is wrong; tests spoil one thing at a time. */
import type { Device, Survey } from '../../agent/device.ts';

const MB = 1_048_576;

export function coolDevice(change: Partial<Device> = {}): Device {
  return {
    thermal: { zone: 'cpu-thermal', celsius: 45, slowCelsius: 80 },
    throttle: { now: [], seen: [] },
    frequency: { allowedShare: 1, currentShare: 0.6 },
    watts: 4.5,
    rails: [{ name: 'VDD_IN', watts: 4.5 }],
    battery: { share: 0.9, discharging: false },
    onMains: true,
    cpuBusyShare: 0.1,
    pressure: { cpuSomeAvg10: 1.5, ioSomeAvg10: 0, ioFullAvg10: 0 },
    swap: { totalBytes: 2_048 * MB, freeBytes: 2_000 * MB },
    zram: { storedBytes: 40 * MB, usedBytes: 12 * MB },
    cgroup: {
      version: 2,
      limitBytes: 1_024 * MB,
      highBytes: null,
      currentBytes: 200 * MB,
      availableBytes: 824 * MB,
      oomKills: 0,
      highEvents: 0,
    },
    storageBytesPerSecond: 400 * MB,
    pageBytes: 16_384,
    ...change,
  };
}

export function healthySurvey(change: Partial<Survey> = {}): Survey {
  return {
    board: 'Raspberry Pi 5 Model B Rev 1.0',
    availableBytes: 3_000 * MB,
    totalBytes: 8_000 * MB,
    device: coolDevice(),
    psiOn: true,
    alarms: ['PSI of the device'],
    memoryController: true,
    clock: { nowMs: Date.UTC(2026, 10, 24), synchronised: true },
    stateDisk: {
      path: '/var/lib/expertd',
      totalBytes: 60_000 * MB,
      freeBytes: 40_000 * MB,
      writeError: null,
    },
    glibcVersion: '2.36',
    loadAverage: 0.4,
    cpus: 4,
    oomKills: 0,
    budgetBytes: 1_000 * MB,
    configProblem: null,
    ...change,
  };
}
