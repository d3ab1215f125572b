/** Waits for ever, and is told by its first argument how to end. */
import { openForeign } from '../../agent/linux/foreign.ts';
import { Poller } from '../../agent/linux/poller.ts';

const foreign = await openForeign();
const poller = foreign === null ? null : Poller.open(foreign);
if (poller === null) throw new Error('there is no poller');
const wait = poller.wait([]);
switch (process.argv[2]) {
  case 'exit':
    setImmediate(() => process.exit(3));
    break;
  case 'throw':
    setImmediate(() => {
      throw new Error('on purpose');
    });
    break;
  case 'stop':
    setImmediate(() => poller.stop());
    await wait;
    process.exitCode = 4;
    break;
  case 'handled signal':
    process.on('SIGTERM', () => process.exit(5));
    break;
}
console.log('armed');
