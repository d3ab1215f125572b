import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerKind, missingProgram, PASSWORD, USER, urlOf } from './broker.ts';
import { findProgram, freePorts, RunningProgram } from './program.ts';

// The one in /usr/sbin changes the user first; this is what it runs.
const server = findProgram('rabbitmq-server', ['/usr/lib/rabbitmq/bin']);
const epmd = findProgram('epmd');

/** RabbitMQ with its MQTT plugin, as a process of ours: no daemon is left, and its epmd is our own too. */
export const rabbitmq: BrokerKind = {
  name: 'RabbitMQ',
  missing: missingProgram({ 'rabbitmq-server': server, epmd }),
  speaks5: false,
  keeps: true,
  async open({ folder }) {
    const [port = 0, distribution = 0, names = 0] = await freePorts(3);
    const mapper = new RunningProgram({
      file: epmd ?? '',
      args: ['-address', '127.0.0.1', '-port', String(names)],
      ports: [names],
      patienceMs: 5_000,
    });
    const program = new RunningProgram({
      file: server ?? '',
      args: [],
      env: environment(folder, distribution, names),
      ports: [port],
      patienceMs: 60_000,
    });
    writeFiles(folder, port);
    const start = async (): Promise<void> => {
      await mapper.start();
      await program.start();
    };
    await start();
    return {
      port,
      url: urlOf(port),
      start,
      async stop(how) {
        await program.stop(how === 'killed' ? 'SIGKILL' : 'SIGTERM');
        await mapper.stop('SIGKILL');
      },
    };
  },
};

function environment(folder: string, distribution: number, names: number): Record<string, string> {
  return {
    HOME: folder,
    RABBITMQ_NODENAME: `expertd-${distribution}@localhost`,
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'none'),
    // One scheduler, and asleep when idle: the machine that tests is small.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_PORT: String(names),
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
}

function writeFiles(folder: string, port: number): void {
  mkdirSync(join(folder, 'log'), { recursive: true });
  writeFileSync(join(folder, 'enabled_plugins'), '[rabbitmq_mqtt].\n');
  writeFileSync(
    join(folder, 'rabbitmq.conf'),
    `listeners.tcp = none
mqtt.listeners.tcp.1 = 127.0.0.1:${port}
mqtt.allow_anonymous = false
default_user = ${USER}
default_pass = ${PASSWORD}
loopback_users = none
`,
  );
}
