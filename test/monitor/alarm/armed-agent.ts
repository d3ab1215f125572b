/** Has all alarms of this device armed, and is told by its first argument how to end. */
import { openAlarm } from '../../../agent/monitor/alarm/alarm.ts';

const alarm = await openAlarm({ onAlarm: () => {}, log: { info: () => {} } });
if (process.argv[2] === 'exit') setImmediate(() => process.exit(3));
if (process.argv[2] === 'stop') setImmediate(() => alarm.stop());
console.log(JSON.stringify(alarm.sources));
if (process.argv[2] === 'signal') setInterval(() => {}, 1_000);
