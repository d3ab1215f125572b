/** `expertd fleet twin`: what a device shall be. */
import { parseFlags } from './flags.ts';
import { orRefused, readInput } from './fleet-files.ts';
import { SIGNING_FLAGS, type Signing, signedByFiles, withKeySets } from './fleet-signing.ts';
import { BROKER_FLAGS, BROKER_FLAGS_HELP, brokerOf, type FleetTools, orFailed } from './fleet-tools.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { printable } from './print.ts';

const FLAGS = { ...SIGNING_FLAGS, ...BROKER_FLAGS } as const;

export function fleetTwin(tools: FleetTools): Command {
  return {
    name: 'twin',
    flags: FLAGS,
    words: { fixed: ['get', 'set'], of: 'files' },
    summary: 'show or set what a device shall be',
    usage: `Usage: expertd fleet twin get DEVICE --url URL [FLAGS]
       expertd fleet twin set DEVICE FILE [--key FILE] --url URL [FLAGS]

"get" prints the desired document that the broker keeps for a device, and what the device reported last. "set" publishes
what is in FILE ("-" is stdin): a document, which it checks and signs with --key, or an envelope, made by "expertd fleet
sign", as it is. Whether it is followed is the device's decision.

  --key FILE            private key (PEM) of the role "release"; several sign in turn
  --keys FILE           envelope of a key set to send along, oldest first
${BROKER_FLAGS_HELP}`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, FLAGS);
      const [action, device, file, ...more] = positionals;
      if (device === undefined || more.length > 0)
        throw new CliError(EXIT.usage, 'twin get DEVICE, or set DEVICE FILE');
      const broker = brokerOf(values, io.env);
      if (action === 'get' && file === undefined) return get(tools, broker, device, io);
      if (action !== 'set' || file === undefined)
        throw new CliError(EXIT.usage, `twin get DEVICE, or set DEVICE FILE: not "${action}"`);
      const envelope = await signedDesired(device, file, values, io);
      await orFailed(tools.setDesired(broker, device, envelope));
      io.stdout.write(`The broker keeps it for ${device}.\n`);
      return EXIT.ok;
    },
  };
}

/** An envelope as it is; a document, if it can be meant for the device, signed. Throws a CliError that names what is wrong. */
async function signedDesired(device: string, file: string, signing: Signing, io: Io): Promise<Uint8Array> {
  const bytes = await readInput(file, io);
  const { isEnvelope, unsignedDesired } = await import('../fleet/trust/issue.ts');
  const isSigned = orRefused(file, () => isEnvelope(bytes));
  if (isSigned && (signing.key ?? signing.keys) !== undefined)
    throw new CliError(
      EXIT.usage,
      `${file} is an envelope, and goes out as it is: leave out --key and --keys`,
    );
  if (isSigned) return bytes;
  const unsigned = orRefused(file, () => unsignedDesired(bytes, device));
  if (signing.key === undefined)
    throw new CliError(
      EXIT.usage,
      `${file} is not signed`,
      'Give --key FILE, a private key of the role "release".',
    );
  return Buffer.from(await withKeySets(file, await signedByFiles(unsigned, signing, io), signing));
}

async function get(
  tools: FleetTools,
  broker: Parameters<FleetTools['twin']>[0],
  device: string,
  io: Io,
): Promise<number> {
  const [desired, reported] = await Promise.all([
    orFailed(tools.twin(broker, device, 'desired')),
    orFailed(tools.twin(broker, device, 'reported')),
  ]);
  const shown = { device, desired: desired === null ? null : document(desired), reported: parsed(reported) };
  io.stdout.write(`${printable(JSON.stringify(shown, null, 2))}\n`);
  return EXIT.ok;
}

/** The document in an envelope, for people to read; nobody has checked its signature here. */
function document(envelope: Uint8Array): unknown {
  const value = parsed(envelope);
  const payload: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, 'payload') : undefined;
  return typeof payload === 'string' ? parsed(Buffer.from(payload, 'base64')) : value;
}

function parsed(bytes: Uint8Array | null): unknown {
  if (bytes === null) return null;
  const text = Buffer.from(bytes).toString();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
