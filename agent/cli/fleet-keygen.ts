/** `expertd fleet keygen`: makes keys, and the key set that devices are enrolled with. */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { KeySet, Role } from '../fleet/documents/keys.ts';
import { parseFlags } from './flags.ts';
import { orRefused, readInput, readText, writeNew, writeOutput } from './fleet-files.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { printable } from './print.ts';

const FLAGS = {
  dir: { type: 'string' },
  set: { type: 'string' },
  add: { type: 'string', multiple: true },
} as const;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

interface Wish {
  readonly role: Role;
  readonly name: string;
}

export const fleetKeygen: Command = {
  name: 'keygen',
  flags: FLAGS,
  words: { fixed: ['root', 'release', 'command'] },
  summary: 'make keys, and the set of keys that devices trust',
  usage: `Usage: expertd fleet keygen [FLAGS] [root|release|command[=NAME]...]

Makes an Ed25519 key for each role: NAME.key is private (PKCS8 PEM, readable by you only), NAME.pub is public (SPKI PEM).
NAME is the role where it is left out. Nothing is ever overwritten.

  --dir DIR         where the files go; default: here
  --add ROLE=FILE   puts a public key into the key set that is there already: a .pub file, or one of minisign
  --set FILE        also writes the key set: a new one, or the one in FILE with these keys added and its version one higher

To rotate or revoke: edit the key set (take a key out of "keys", put its id into "revoked", raise "version" by one), sign
it with root keys of the old set and of the new one, and publish it: expertd fleet sign keys.json --key root.key`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, FLAGS);
    const { add = [], dir = '.', set } = values;
    if (add.length > 0 && set === undefined) throw new CliError(EXIT.usage, '--add needs --set FILE');
    if (positionals.length === 0 && add.length === 0)
      throw new CliError(EXIT.usage, 'a key of which role?', `There are: ${await roleNames()}.`);
    const wishes = await wishesOf(positionals);
    const known = await Promise.all(add.map((word) => knownKey(word, io)));
    // First, so that no key is made that then goes into no set.
    const next = set === undefined ? null : await nextSet(set, known, io);
    const made: KeySet['keys'] = [];
    for (const { role, name } of wishes)
      made.push({ key: await makeKey(join(dir, name), role, io), roles: [role] });
    if (next !== null)
      writeOutput(set, JSON.stringify({ ...next, keys: [...next.keys, ...made] }, null, 2), io);
    return EXIT.ok;
  },
};

async function wishesOf(words: readonly string[]): Promise<readonly Wish[]> {
  const wishes: Wish[] = [];
  for (const word of words) {
    const [role, name] = await roleAnd(word);
    if (!NAME.test(name)) throw new CliError(EXIT.usage, `"${name}" cannot be the name of a key`);
    if (wishes.some((other) => other.name === name))
      throw new CliError(EXIT.usage, `two keys cannot both be called "${name}"`);
    wishes.push({ role, name });
  }
  return wishes;
}

/** `ROLE=REST`; the rest is the role itself where it is left out. */
async function roleAnd(word: string): Promise<readonly [Role, string]> {
  const { ROLES } = await import('../fleet/documents/keys.ts');
  const [, first = '', rest = first] = /^([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  const role = ROLES.find((one) => one === first);
  if (role !== undefined && rest !== '') return [role, rest];
  throw new CliError(EXIT.usage, `"${word}" begins with no role`, `Roles are: ${await roleNames()}.`);
}

async function roleNames(): Promise<string> {
  return (await import('../fleet/documents/keys.ts')).ROLES.join(', ');
}

/** A public key that somebody else has made. */
async function knownKey(word: string, io: Io): Promise<KeySet['keys'][number]> {
  const [role, path] = await roleAnd(word);
  const { readPublicText } = await import('../fleet/trust/issue.ts');
  const text = readText(path);
  const key = orRefused(path, () => readPublicText(text));
  await tell(role, key, path, io);
  return { key, roles: [role] };
}

/** Resolves with the public key as key sets have it. */
async function makeKey(path: string, role: Role, io: Io): Promise<string> {
  const { publicTextOf } = await import('../fleet/trust/public-key.ts');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  for (const taken of [`${path}.key`, `${path}.pub`])
    if (existsSync(taken)) throw new CliError(EXIT.failed, `${taken} exists, and is left as it is`);
  writeNew(`${path}.key`, String(privateKey.export({ type: 'pkcs8', format: 'pem' })), 0o600);
  writeNew(`${path}.pub`, String(publicKey.export({ type: 'spki', format: 'pem' })), 0o644);
  const text = publicTextOf(publicKey);
  await tell(role, text, `${path}.key`, io);
  return text;
}

async function tell(role: Role, key: string, path: string, io: Io): Promise<void> {
  const { publicKeyOf } = await import('../fleet/trust/public-key.ts');
  io.stdout.write(printable(`${role.padEnd(8)} ${publicKeyOf(key)?.id}  ${path}\n`));
}

/** The set in a file, one version on, with these keys; a first one where there is no file. */
async function nextSet(path: string, keys: KeySet['keys'], io: Io): Promise<KeySet> {
  const [{ checkKeySet }, { readDocument }] = await Promise.all([
    import('../fleet/documents/keys.ts'),
    import('../fleet/documents/reading.ts'),
  ]);
  if (!existsSync(path)) return { v: 1, version: 1, keys };
  const bytes = await readInput(path, io);
  return orRefused(path, () => {
    const old = readDocument(bytes, checkKeySet);
    return checkKeySet({ ...old, version: old.version + 1, keys: [...old.keys, ...keys] });
  });
}
