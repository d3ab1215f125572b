/** `expertd fleet sign`: from a document to an envelope that devices take. */
import { parseFlags } from './flags.ts';
import { orRefused, readInput, readText, writeOutput } from './fleet-files.ts';
import { SIGNING_FLAGS, signedByFiles, withKeySets } from './fleet-signing.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';

const FLAGS = {
  ...SIGNING_FLAGS,
  minisig: { type: 'string' },
  'public-key': { type: 'string' },
  out: { type: 'string' },
} as const;
type Values = ReturnType<typeof parseFlags<typeof FLAGS>>['values'];
export const fleetSign: Command = {
  name: 'sign',
  flags: FLAGS,
  words: { of: 'files' },
  summary: 'check and sign a desired document, a command, or a key set',
  usage: `Usage: expertd fleet sign [FLAGS] FILE

FILE is a JSON document, or "-": it is checked as a device would check it, and its bytes are signed as they are. FILE may
also be an envelope: then it gets one more signature. Writes a DSSE envelope, to be published as it is.

  --key FILE         private key (PEM); several sign in turn
  --keys FILE        envelope of a key set to send along, oldest first: devices that missed a rotation follow it
  --minisig FILE     a signature by minisign instead, checked with --public-key: made by
                     minisign -S -m FILE -t application/vnd.expertd.desired+json     (or command+json, keys+json)
  --public-key FILE  minisign's public key
  --out FILE         where the envelope goes; default: stdout`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, FLAGS);
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new CliError(EXIT.usage, 'sign which one file?');
    if ((values.minisig === undefined) !== (values['public-key'] === undefined))
      throw new CliError(EXIT.usage, '--minisig and --public-key belong together');
    if (values.minisig === undefined && values.key === undefined)
      throw new CliError(EXIT.usage, 'with which key?', 'Give --key FILE, or --minisig and --public-key.');
    const bytes = await readInput(file, io);
    writeOutput(values.out, await envelope(file, bytes, values, io), io);
    return EXIT.ok;
  },
};

async function envelope(file: string, bytes: Uint8Array, values: Values, io: Io): Promise<string> {
  const [{ attested, envelopeToSign }, { readMinisig, readMinisignKey }] = await Promise.all([
    import('../fleet/trust/issue.ts'),
    import('../fleet/trust/minisign.ts'),
  ]);
  const { minisig, 'public-key': publicKey, key = [], keys = [] } = values;
  const unsigned = orRefused(file, () => envelopeToSign(bytes));
  let signed = await signedByFiles(unsigned, { key }, io);
  if (minisig !== undefined && publicKey !== undefined) {
    const by = orRefused(publicKey, () => readMinisignKey(readText(publicKey)));
    const signature = orRefused(minisig, () => readMinisig(readText(minisig), by.id));
    signed = orRefused(minisig, () => attested(signed, signature, by));
  }
  return withKeySets(file, signed, { keys });
}
