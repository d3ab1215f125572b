/** Stands in for an agent at the memory limit of its group: one cell takes more than there is, another is killed by hand. */
import { beginRun, runScripted, StartedCells, scripted } from './started.ts';

const MOST_MEGABYTES = Number(process.argv[2]);
const started = new StartedCells(new Map([['good', scripted('good')]]));
for (const cell of ['hungry', 'modest']) await started.cells.load(cell, 'fast', 'good');
await runScripted(started, `eat ${MOST_MEGABYTES}`, { cell: 'hungry' }).catch(() => 'as expected');
await started.exited('hungry');
await beginRun(started, 'endless', 'modest').begun;
process.kill(started.pid('modest'), 'SIGKILL');
await started.exited('modest');
console.log(JSON.stringify(started.exits));
