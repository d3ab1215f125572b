/** `expertd fleet collect` as a process of its own: `node fleet-collector.ts URL DATABASE`. */
import { fleetTools } from '../../agent/collecting.ts';

const [url = '', database = ''] = process.argv.slice(2);
const files = { user: undefined, passwordFile: undefined, ca: undefined, cert: undefined, key: undefined };
await fleetTools.collect({ url, root: 'expertd', ...files }, database, (line) => {
  process.stdout.write(`${line}\n`);
});
