/** Stands in for an agent that is killed: two cells, one idle and one inside a run that blocks, both hold `argv[2]`. */
import { beginRun, runScripted, StartedCells, scripted } from './started.ts';

const fifo = process.argv[2] ?? '';
const started = new StartedCells(new Map([['good', scripted('good')]]));
for (const cell of ['fast-1', 'heavy-1']) {
  await started.cells.load(cell, cell === 'fast-1' ? 'fast' : 'heavy', 'good');
  await runScripted(started, `hold ${fifo}`, { cell });
}
await beginRun(started, 'block', 'heavy-1').begun;
console.log('ready');
