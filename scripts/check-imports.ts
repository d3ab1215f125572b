/** Part of `npm run check`: the import directions of ARCHITECTURE.md, purity of the core, size of files, no cycles. */
import { ROOT } from './bundle.mjs';
import { check } from './imports/check.ts';
import { readFacts } from './imports/facts.ts';
import { RULES } from './imports/rules.ts';

const violations = check(readFacts(ROOT), RULES);
for (const { path, line, message } of violations) process.stderr.write(`${path}:${line}: ${message}\n`);
if (violations.length > 0) process.exitCode = 1;
