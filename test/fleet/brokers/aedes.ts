import { join } from 'node:path';
import { type BrokerKind, PASSWORD, USER, urlOf } from './broker.ts';
import { freePorts, RunningProgram } from './program.ts';

/** aedes in a process of its own, so that it can be killed as the others. It keeps all in memory. */
export const aedes: BrokerKind = {
  name: 'aedes',
  missing: null,
  speaks5: false,
  keeps: false,
  async open() {
    const [port = 0] = await freePorts(1);
    const program = new RunningProgram({
      file: process.execPath,
      args: [
        '--disable-warning=ExperimentalWarning',
        join(import.meta.dirname, 'aedes-server.ts'),
        String(port),
        USER,
        PASSWORD,
      ],
      ports: [port],
      patienceMs: 10_000,
    });
    await program.start();
    return {
      port,
      url: urlOf(port),
      stop: (how) => program.stop(how === 'killed' ? 'SIGKILL' : 'SIGTERM'),
      start: () => program.start(),
    };
  },
};
