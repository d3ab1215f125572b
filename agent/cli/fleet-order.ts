/** From the words of `expertd fleet cmd DEVICE ...` to a command that is signed. */
import type { CommandType } from '../fleet/documents/command.ts';
import { didYouMean } from '../nearest.ts';
import { orRefused } from './fleet-files.ts';
import { type Signing, signedByFiles, withKeySets } from './fleet-signing.ts';
import { spanMs } from './fleet-times.ts';
import { CliError, EXIT, type Io } from './io.ts';

export const ORDERS = [
  'load',
  'park',
  'unload',
  'pin',
  'unpin',
  'clear',
  'policy',
  'diagnostics',
  'restart',
] as const satisfies readonly CommandType[];

export const ORDERS_HELP = `  load|park|unload|pin|unpin|clear EXPERT   "clear" ends its quarantine
  policy KEY=VALUE...                       as residency=lru minScore=0.4 router=rules,nearest
  diagnostics [state|decisions|log]...      what the device knows of itself; without a word: all of it
  restart`;

const EXPIRES = '1h';

export interface Wanted extends Signing {
  readonly device: string;
  /** What the device shall do, and then to what. */
  readonly words: readonly string[];
  /** As the command line has it. */
  readonly expires?: string | undefined;
}

/** The envelope, as it is published, and the id of the command in it. Throws a CliError that names what is wrong. */
export async function signedOrder(
  { device, words, expires, ...signing }: Wanted,
  io: Io,
): Promise<{ readonly id: string; readonly envelope: Uint8Array }> {
  const [first, ...rest] = words;
  const type = typeOf(first);
  const args = await argsOf(type, rest);
  const lifeSeconds = await lifeOf(expires ?? EXPIRES);
  if ((signing.key ?? []).length === 0)
    throw new CliError(
      EXIT.usage,
      `${type}: signed with which key?`,
      'Give --key FILE, a private key of the role "command"; or --file ENVELOPE, which is signed already.',
    );
  const { newCommand, unsignedEnvelope } = await import('../fleet/trust/issue.ts');
  const order = { type, args, device };
  const command = orRefused(device, () => newCommand(order, Date.now(), lifeSeconds), EXIT.usage);
  const unsigned = unsignedEnvelope(Buffer.from(JSON.stringify(command)), 'command');
  const text = await withKeySets(device, await signedByFiles(unsigned, signing, io), signing);
  return { id: command.id, envelope: Buffer.from(text) };
}

function typeOf(word: string | undefined): CommandType {
  const found = ORDERS.find((one) => one === word);
  if (found !== undefined) return found;
  const what = word === undefined ? 'the device shall do what?' : `there is no command "${word}"`;
  const near = didYouMean(word ?? '', ORDERS).trim() || `There are: ${ORDERS.join(', ')}.`;
  throw new CliError(EXIT.usage, what, `${near} An envelope that is signed already: --file ENVELOPE`);
}

/** Whether they are right is for the check of the command to say; here they only get their form. */
async function argsOf(type: CommandType, words: readonly string[]): Promise<Record<string, unknown>> {
  switch (type) {
    case 'policy':
      return policyOf(words);
    case 'diagnostics':
      return words.length === 0 ? {} : { parts: words };
    case 'restart':
      if (words.length === 0) return {};
      throw new CliError(EXIT.usage, `restart takes nothing after it: "${words.join(' ')}"`);
    default: {
      const [expert, ...more] = words;
      if (expert !== undefined && more.length === 0) return { expert };
      throw new CliError(EXIT.usage, `${type} which one expert?`, `As in: cmd DEVICE ${type} EXPERT`);
    }
  }
}

async function policyOf(words: readonly string[]): Promise<Record<string, unknown>> {
  const { PolicySchema } = await import('../fleet/documents/desired.ts');
  const schemas: readonly (readonly [string, object])[] = Object.entries(PolicySchema.properties);
  const types = new Map(schemas.map(([key, schema]) => [key, 'type' in schema ? schema.type : null]));
  const found = new Map<string, unknown>();
  for (const word of words) {
    const [, key = '', text] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
    if (text === undefined)
      throw new CliError(EXIT.usage, `policy: "${word}" must be KEY=VALUE`, 'As in: policy residency=lru');
    if (found.has(key)) throw new CliError(EXIT.usage, `policy: "${key}" is there twice`);
    found.set(key, policyValue(text, types.get(key)));
  }
  if (found.size > 0) return Object.fromEntries(found);
  const keys = [...types.keys()].join(', ');
  throw new CliError(EXIT.usage, 'policy: which KEY=VALUE?', `Keys are: ${keys}.`);
}

/** A text that is no number stays one, and the check says that it should be. */
function policyValue(text: string, type: unknown): unknown {
  if (type === 'array') return text.split(',');
  const isNumber = type === 'number' && text.trim() !== '' && Number.isFinite(Number(text));
  return isNumber ? Number(text) : text;
}

async function lifeOf(text: string): Promise<number> {
  const { MAX_LIFE_SECONDS } = await import('../fleet/documents/command.ts');
  const seconds = (spanMs(text) ?? 0) / 1_000;
  if (seconds >= 1 && seconds <= MAX_LIFE_SECONDS) return seconds;
  const most = `${MAX_LIFE_SECONDS / 86_400}d`;
  throw new CliError(EXIT.usage, `--expires "${text}" is no time from 1s to ${most}`, 'As 30s, 10m, 1h, 7d.');
}
