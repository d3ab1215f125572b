import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerKind, missingProgram, PASSWORD, USER, urlOf } from './broker.ts';
import { findProgram, freePorts, RunningProgram } from './program.ts';

const server = findProgram('nats-server');

/** NATS with JetStream, which keeps its sessions and retained messages. */
export const nats: BrokerKind = {
  name: 'NATS',
  missing: missingProgram({ 'nats-server': server }),
  speaks5: false,
  keeps: true,
  async open({ folder }) {
    const [port = 0, own = 0] = await freePorts(2);
    const config = join(folder, 'nats.conf');
    writeFileSync(
      config,
      `server_name: test
host: 127.0.0.1
port: ${own}
max_payload: 2MB
jetstream { store_dir: ${JSON.stringify(folder)}, max_file_store: 1GB }
mqtt { host: 127.0.0.1, port: ${port} }
authorization { users: [ { user: ${JSON.stringify(USER)}, password: ${JSON.stringify(PASSWORD)} } ] }
`,
    );
    const program = new RunningProgram({
      file: server ?? '',
      args: ['-c', config],
      ports: [own, port],
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
