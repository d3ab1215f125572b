/** Writes a file of so many bytes, which stays in the page cache, and says what the monitor sees of its control group. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { LinuxMonitor } from '../../agent/monitor/monitor.ts';

const [, , path = '', bytes = '0'] = process.argv;
const file = openSync(path, 'w');
writeSync(file, Buffer.alloc(Number(bytes), 1));
fsyncSync(file);
closeSync(file);
const monitor = new LinuxMonitor({ pids: () => new Map() });
const { device, availableBytes, totalBytes } = monitor.sample();
console.log(
  JSON.stringify({ cgroup: device.cgroup, limitBytes: monitor.limitBytes(), availableBytes, totalBytes }),
);
