/**
 * `npm run build [-- --arch x64|arm64]`: the executable `dist/bin/expertd-linux-ARCH`, made from what npm installed
 * and nothing else, then started once to answer a question (if it can run on this machine).
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Arch, buildExecutable } from './build/executable.ts';
import { smokeTest } from './build/smoke.ts';
import { ensureBundle, ROOT } from './bundle.mjs';

const QUESTION = 'what is tachycardia?';

const { values } = parseArgs({ options: { arch: { type: 'string', default: process.arch } } });
const arch = values.arch;
if (arch !== 'x64' && arch !== 'arm64') throw new Error(`--arch must be x64 or arm64, not ${arch}`);
await main(arch);

async function main(arch: Arch): Promise<void> {
  const output = join(ROOT, 'dist', 'bin', `expertd-linux-${arch}`);
  const bundle = await ensureBundle();
  await buildExecutable({ root: ROOT, bundle, arch, output });
  const sha256 = createHash('sha256').update(readFileSync(output)).digest('hex');
  process.stdout.write(`${output}  ${(statSync(output).size / 1e6).toFixed(1)} MB  sha256 ${sha256}\n`);
  if (arch !== process.arch) {
    process.stdout.write(`not started: this machine is ${process.arch}\n`);
    return;
  }
  const { readyMs, answerMs, answer } = await smokeTest(output, QUESTION);
  process.stdout.write(
    `first start ${readyMs.toFixed(0)} ms, first answer ${answerMs.toFixed(0)} ms: ${answer}\n`,
  );
}
