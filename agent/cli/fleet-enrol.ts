/** `expertd fleet enrol`: prepares the first keys of a device, and takes them in on the device. */
import type { KeySet } from '../fleet/documents/keys.ts';
import type { Trust } from '../fleet/trust/trust.ts';
import { parseFlags, wholeNumber } from './flags.ts';
import { orRefused, readInput, writeOutput } from './fleet-files.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { stateDirOf } from './options.ts';
import { table } from './print.ts';

const FLAGS = {
  set: { type: 'string' },
  token: { type: 'boolean' },
  days: { type: 'string' },
  out: { type: 'string' },
  import: { type: 'string' },
  replace: { type: 'boolean' },
  show: { type: 'boolean' },
  'state-dir': { type: 'string' },
} as const;
type Values = ReturnType<typeof parseFlags<typeof FLAGS>>['values'];
const DAY_SECONDS = 86_400;
const MAX_DAYS = 3_650;

export const fleetEnrol: Command = {
  name: 'enrol',
  flags: FLAGS,
  summary: 'give a device the keys that it shall trust',
  usage: `Usage: expertd fleet enrol DEVICE --set FILE [--token] [--days N] [--out FILE]
       expertd fleet enrol --import FILE [--replace] [--state-dir DIR]
       expertd fleet enrol --show [--state-dir DIR]

First prepares, then, on the device, imports. By file: carry the file that is written to the device, and import it. By
token: --token prints a secret, the only thing that the device is given beforehand (import it from a file or from "-");
the file that is written is an envelope to publish. The device takes it once, because only that token can have made it.
A device without keys reports, and takes no orders.

  --set FILE        the key set, as written by "expertd fleet keygen"
  --token           prove the keys by a token instead of a file
  --days N          the envelope is good for so many days
  --out FILE        where the file or envelope goes; default: stdout
  --import FILE     an enrolment or a token; "-" is stdin
  --replace         even if this device has keys already
  --show            what this device trusts
  --state-dir DIR   where the agent keeps its state (EXPERTD_STATE_DIR)`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, FLAGS);
    if (values.show === true) return show(stateDirOf(values['state-dir'], io.env), io);
    if (values.import !== undefined) return take(values.import, values, io);
    const [device, ...more] = positionals;
    if (device === undefined || more.length > 0)
      throw new CliError(EXIT.usage, 'enrol which one device?', 'On the device itself: --import FILE');
    return prepare(device, values, io);
  },
};

async function prepare(device: string, values: Values, io: Io): Promise<number> {
  const { set: path, days } = values;
  if (path === undefined) throw new CliError(EXIT.usage, 'which keys shall it trust?', 'Give --set FILE.');
  const [keys, { readDocument }, issue, { newToken }, { writeEnvelope }] = await Promise.all([
    import('../fleet/documents/keys.ts'),
    import('../fleet/documents/reading.ts'),
    import('../fleet/trust/issue.ts'),
    import('../fleet/trust/trust.ts'),
    import('../fleet/trust/dsse.ts'),
  ]);
  const bytes = await readInput(path, io);
  const keyset: KeySet = orRefused(path, () => readDocument(bytes, keys.checkKeySet));
  const life = days === undefined ? {} : { exp: expiry(wholeNumber(days, '--days', 1, MAX_DAYS)) };
  const enrolment = orRefused(path, () => issue.checkedEnrolment({ v: 1, aud: device, ...life, keyset }));
  if (values.token !== true) {
    writeOutput(values.out, JSON.stringify(enrolment, null, 2), io);
    return EXIT.ok;
  }
  if (values.out === undefined)
    throw new CliError(EXIT.usage, '--token needs --out FILE: the token itself goes to stdout');
  const token = newToken();
  writeOutput(values.out, writeEnvelope(issue.tokenEnvelope(enrolment, token)), io);
  io.stdout.write(`${token}\n`);
  return EXIT.ok;
}

function expiry(days: number): number {
  return Math.floor(Date.now() / 1_000) + days * DAY_SECONDS;
}

async function take(path: string, values: Values, io: Io): Promise<number> {
  const stateDir = stateDirOf(values['state-dir'], io.env);
  const { loadTrust, saveTrust } = await import('../fleet/trust/place.ts');
  const bytes = await readInput(path, io);
  const isEnrolled = values.replace !== true && orRefused(stateDir, () => loadTrust(stateDir)).ring !== null;
  if (isEnrolled)
    throw new CliError(
      EXIT.refused,
      'this device has keys already',
      'To put others in their place: --replace',
    );
  const trust = await imported(path, bytes);
  saveTrust(stateDir, trust);
  io.stdout.write(
    trust.ring === null
      ? 'This device has a token, and takes the first keys that it proves.\n'
      : `This device is enrolled as ${trust.device}, with key set ${trust.ring.version}.\n`,
  );
  return EXIT.ok;
}

async function imported(path: string, bytes: Uint8Array): Promise<Trust> {
  const [{ isToken, NO_TRUST }, { checkEnrolment }, { readDocument }, { ringOf }] = await Promise.all([
    import('../fleet/trust/trust.ts'),
    import('../fleet/documents/keys.ts'),
    import('../fleet/documents/reading.ts'),
    import('../fleet/trust/keyring.ts'),
  ]);
  const text = Buffer.from(bytes).toString('latin1').trim();
  if (isToken(text)) return { ...NO_TRUST, token: text };
  return orRefused(path, () => {
    const { aud, keyset } = readDocument(bytes, checkEnrolment);
    return { device: aud, ring: ringOf(keyset, null), token: null };
  });
}

async function show(stateDir: string, io: Io): Promise<number> {
  const { loadTrust } = await import('../fleet/trust/place.ts');
  const { ring, device, token } = orRefused(stateDir, () => loadTrust(stateDir));
  if (ring === null) {
    const waiting = token === null ? '' : ', but a token for the first that come';
    io.stdout.write(`This device has no keys${waiting}: it takes no orders.\n`);
    return EXIT.ok;
  }
  io.stdout.write(`Enrolled as ${device}, key set ${ring.version}.\n`);
  const rows = [
    ...ring.keys.map(({ id, roles }) => [id, roles.join(', ')]),
    ...ring.revoked.map((id) => [id, 'revoked']),
  ];
  io.stdout.write(table(['KEY', 'SIGNS'], rows));
  return EXIT.ok;
}
