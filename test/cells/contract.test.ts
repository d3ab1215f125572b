import { runtimeContract } from '../contract/runtime.ts';
import { StartedCells, scripted } from './started.ts';

const experts = new Map([
  ['good', scripted('good')],
  ['other', scripted('other')],
  ['bad', scripted('bad', 'refuses')],
  ['stuck', scripted('stuck', 'blocks')],
]);

runtimeContract('cells', () => {
  const started = new StartedCells(experts);
  return {
    runtime: started.cells,
    exits: started.exits,
    crash: (cell) => process.kill(started.pid(cell), 'SIGKILL'),
    exited: (cell) => started.exited(cell),
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
});
