import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerKind, missingProgram, PASSWORD, USER, urlOf } from './broker.ts';
import { findProgram, freePorts, RunningProgram } from './program.ts';

export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const server = findProgram('mosquitto');
const passwords = findProgram('mosquitto_passwd');

export const mosquitto: BrokerKind = {
  name: 'Mosquitto',
  missing: missingProgram({ mosquitto: server, mosquitto_passwd: passwords }),
  speaks5: true,
  keeps: true,
  open: ({ folder, maxQueued }) =>
    openMosquitto(folder, maxQueued === undefined ? '' : `max_queued_messages ${maxQueued}`),
};

/** One that takes only clients with a certificate of `ca`, by TLS. */
export function openTlsMosquitto(folder: string, { ca, cert, key }: Certificates) {
  return openMosquitto(folder, `cafile ${ca}\ncertfile ${cert}\nkeyfile ${key}\nrequire_certificate true`);
}

async function openMosquitto(folder: string, more: string) {
  const [port = 0] = await freePorts(1);
  mkdirSync(join(folder, 'data'), { recursive: true });
  const passwordFile = join(folder, 'passwords');
  execFileSync(passwords ?? '', ['-c', '-b', passwordFile, USER, PASSWORD], { stdio: 'ignore' });
  writeFileSync(join(folder, 'acl'), `user ${USER}\ntopic readwrite #\ntopic deny secret/#\n`);
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(
    config,
    `per_listener_settings false
user root
allow_anonymous false
password_file ${passwordFile}
acl_file ${join(folder, 'acl')}
persistence true
persistence_location ${join(folder, 'data')}/
listener ${port} 127.0.0.1
${more}
`,
    { mode: 0o600 },
  );
  const program = new RunningProgram({
    file: server ?? '',
    args: ['-c', config],
    ports: [port],
    patienceMs: 10_000,
  });
  await program.start();
  return {
    port,
    url: urlOf(port),
    stop: (how: 'killed' | 'ended') => program.stop(how === 'killed' ? 'SIGKILL' : 'SIGTERM'),
    start: () => program.start(),
  };
}
