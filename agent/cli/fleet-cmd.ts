/** `expertd fleet cmd`: what a device shall do, once. */
import { parseFlags, wholeNumber } from './flags.ts';
import { readInput } from './fleet-files.ts';
import { ORDERS, ORDERS_HELP, signedOrder } from './fleet-order.ts';
import { SIGNING_FLAGS } from './fleet-signing.ts';
import {
  BROKER_FLAGS,
  BROKER_FLAGS_HELP,
  brokerOf,
  type CommandAnswer,
  type FleetTools,
  orFailed,
} from './fleet-tools.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { printable } from './print.ts';

const FLAGS = {
  ...SIGNING_FLAGS,
  expires: { type: 'string' },
  file: { type: 'string' },
  wait: { type: 'string' },
  ...BROKER_FLAGS,
} as const;
type Values = ReturnType<typeof parseFlags<typeof FLAGS>>['values'];
const WAIT_SECONDS = '60';

export function fleetCmd(tools: FleetTools): Command {
  return {
    name: 'cmd',
    flags: FLAGS,
    words: { fixed: ORDERS, of: 'experts' },
    summary: 'tell a device to do something, and wait for its answer',
    usage: `Usage: expertd fleet cmd DEVICE COMMAND --key FILE --url URL [FLAGS]
       expertd fleet cmd DEVICE --file ENVELOPE --url URL [FLAGS]

${ORDERS_HELP}

Writes, checks, signs and sends the command, and prints what the device answers. A device that is away gets it when it
comes back, if it has not expired by then. Where the key is kept off this machine: "expertd fleet sign" makes an envelope
there, and --file sends it as it is ("-" is stdin). It also sends key sets, and enrolments that a token proves.

  --key FILE            private key (PEM) of the role "command"; several sign in turn
  --keys FILE           envelope of a key set to send along, oldest first
  --expires TIME        how long it is good, as 30s, 10m, 1h, 7d; default 1h, at most 31d
  --file ENVELOPE       sends this instead
  --wait SECONDS        for the last answer; default ${WAIT_SECONDS}, 0 does not wait
${BROKER_FLAGS_HELP}`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, FLAGS);
      const [device, ...words] = positionals;
      if (device === undefined) throw new CliError(EXIT.usage, 'which device?', 'As in: cmd DEVICE COMMAND');
      const waitMs = wholeNumber(values.wait ?? WAIT_SECONDS, '--wait', 0, 86_400) * 1_000;
      const broker = brokerOf(values, io.env);
      const envelope = await envelopeOf(device, words, values, io);
      const heard: CommandAnswer[] = [];
      const hear = (answer: CommandAnswer): void => {
        heard.push(answer);
        tell(answer, io);
      };
      const isAnswered = await orFailed(tools.command(broker, device, envelope, waitMs, hear));
      if (isAnswered) return exitOf(heard, waitMs, io);
      io.stdout.write(`The broker has these keys for ${device}, which records whether it takes them.\n`);
      return EXIT.ok;
    },
  };
}

async function envelopeOf(
  device: string,
  words: readonly string[],
  { file, key, keys, expires }: Values,
  io: Io,
): Promise<Uint8Array> {
  if (file === undefined) {
    const { id, envelope } = await signedOrder({ device, words, expires, key, keys }, io);
    io.stderr.write(`command ${id}\n`);
    return envelope;
  }
  const [word] = words;
  if (word !== undefined)
    throw new CliError(EXIT.usage, `either --file or "${word}"`, 'The envelope holds the whole command.');
  if (key !== undefined || keys !== undefined || expires !== undefined)
    throw new CliError(
      EXIT.usage,
      '--file sends an envelope as it is: leave out --key, --keys and --expires',
      'To sign a document: expertd fleet sign',
    );
  return readInput(file, io);
}

function tell({ state, reason, detail }: CommandAnswer, io: Io): void {
  io.stderr.write(printable(`${state}${reason === null ? '' : ` (${reason})`}\n`));
  if (detail !== null) io.stdout.write(`${printable(detail)}\n`);
}

function exitOf(heard: readonly CommandAnswer[], waitMs: number, io: Io): number {
  const last = heard.find(({ isFinal }) => isFinal)?.state ?? null;
  if (last === 'SUCCEEDED' || (last === null && waitMs === 0)) return EXIT.ok;
  if (last === 'REJECTED') return EXIT.refused;
  if (last === null) io.stderr.write(`no last answer within ${waitMs / 1_000} s: it may still come\n`);
  if (heard.length === 0)
    io.stderr.write('A device does not answer while it is away, or where it does not trust the key.\n');
  return EXIT.failed;
}
