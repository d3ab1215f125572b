import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createVirtualFileSystem } from 'typescript/unstable/fs';
import { check, type Violation } from '../../scripts/imports/check.ts';
import { readFacts } from '../../scripts/imports/facts.ts';
import { RULES, type Rules } from '../../scripts/imports/rules.ts';

/** Judges a project made of these files by the real rules. */
function judge(files: Record<string, string>, rules: Rules = RULES): Violation[] {
  const tsconfig = JSON.stringify({
    compilerOptions: {
      module: 'nodenext',
      noLib: true,
      noResolve: true,
      allowImportingTsExtensions: true,
      noEmit: true,
    },
    include: ['agent', 'policies', 'scripts'],
  });
  const onDisk = Object.entries({ 'tsconfig.json': tsconfig, ...files }).map(([path, text]) => [
    join(root, path),
    text,
  ]);
  return check(readFacts(root, createVirtualFileSystem(Object.fromEntries(onDisk))), rules);
}

function messages(files: Record<string, string>): string[] {
  return judge(files).map(({ path, line, message }) => `${path}:${line} ${message}`);
}

let root = '';
before(() => {
  root = mkdtempSync(join(tmpdir(), 'expertd-imports-'));
});
after(() => rmSync(root, { recursive: true }));

describe('import directions', () => {
  test('what is allowed passes', () => {
    const files = {
      'agent/types.ts': 'export type A = { readonly process: string };',
      'agent/ports.ts': "import type { A } from './types.ts';\nexport type B = A;",
      'agent/decide.ts':
        "import type { A } from './types.ts';\nexport const f = (a: A) => ({ performance: a.process });",
      'agent/store/store.ts':
        "import Database from 'better-sqlite3';\nimport type { B } from '../ports.ts';\nexport type C = B; export default Database;",
      'agent/main.ts': "const { Store } = await import('./store/store.ts');\nimport('./decide.ts');",
    };
    assert.deepEqual(judge(files), []);
  });

  const broken: Record<string, { files: Record<string, string>; says: RegExp }> = {
    'the core imports an adapter': {
      files: {
        'agent/decide.ts': "import { open } from './store/store.ts';",
        'agent/store/store.ts': 'export const open = 1;',
      },
      says: /decide\.ts:1 core may not import store/,
    },
    'a type counts as an import': {
      files: {
        'agent/http/server.ts': "\nimport type { S } from '../store/store.ts';",
        'agent/store/store.ts': 'export type S = 1;',
      },
      says: /server\.ts:2 http may not import store/,
    },
    'a re-export counts as an import': {
      files: { 'agent/cli/a.ts': "export * from '../http/b.ts';", 'agent/http/b.ts': 'export const b = 1;' },
      says: /cli may not import http/,
    },
    'so does import()': {
      files: {
        'agent/catalog/a.ts': "export const a = () => import('../cells/b.ts');",
        'agent/cells/b.ts': 'export const b = 1;',
      },
      says: /catalog may not import cells/,
    },
    'a computed import()': {
      files: { 'agent/main.ts': 'export const a = (path: string) => import(path);' },
      says: /\(computed\) is not a package/,
    },
    'the agent loads the runtime': {
      files: { 'agent/agent.ts': "import ort from 'onnxruntime-node'; export default ort;" },
      says: /only runtime may import onnxruntime-node/,
    },
    'a package that nobody decided on': {
      files: { 'agent/http/a.ts': "import x from '@scope/left-pad/deep'; export default x;" },
      says: /@scope\/left-pad is not a package/,
    },
    'a policy reads a file': {
      files: {
        'policies/router/a.ts': "import { readFileSync } from 'node:fs'; export default readFileSync;",
      },
      says: /policies is pure, and node:fs is not/,
    },
    'the core awaits': {
      files: { 'agent/decide.ts': 'export const f = async () => {\n  await 1;\n};' },
      says: /decide\.ts:2 core is pure, and this is await/,
    },
    'the core reads a clock': {
      files: { 'agent/residency.ts': 'export const now = () => Date.now();' },
      says: /core is pure, and this is Date/,
    },
    'the core reads a clock by another name': {
      files: { 'agent/residency.ts': 'export const clocks = () => ({ performance });' },
      says: /core is pure, and this is performance/,
    },
    'a policy throws dice': {
      files: { 'policies/residency/a.ts': 'export const f = () => Math.random();' },
      says: /policies is pure, and this is Math\.random/,
    },
    'import.meta outside of files.ts': {
      files: { 'agent/cells/a.ts': 'export const here = import.meta.url;' },
      says: /import\.meta means nothing in the bundle/,
    },
    'a file without a zone': {
      files: { 'agent/helpers.ts': 'export const a = 1;' },
      says: /helpers\.ts:1 belongs to no zone/,
    },
    'a file that is too long': {
      files: { 'scripts/a.ts': '// line\n'.repeat(401) },
      says: /scripts\/a\.ts:401 has 401 lines/,
    },
  };
  for (const [name, { files, says }] of Object.entries(broken)) {
    test(`${name}: refused`, () => {
      const found = messages(files);
      assert.ok(
        found.some((message) => says.test(message)),
        `${says} is not in ${JSON.stringify(found)}`,
      );
    });
  }

  test('a generated file may be long, and 400 lines are not too many', () => {
    assert.deepEqual(
      judge({ 'scripts/a.gen.ts': '// line\n'.repeat(900), 'scripts/b.ts': '// line\n'.repeat(400) }),
      [],
    );
  });

  test('a circle is found once and named', () => {
    const files = {
      'agent/http/a.ts': "import './b.ts';",
      'agent/http/b.ts': "import './c.ts';",
      'agent/http/c.ts': "import './a.ts';",
    };
    assert.deepEqual(messages(files), [
      'agent/http/c.ts:1 imports in a circle: agent/http/a.ts -> agent/http/b.ts -> agent/http/c.ts -> agent/http/a.ts',
    ]);
  });

  test('every zone that a rule names exists', () => {
    const names = new Set(['*', ...RULES.zones.map(({ name }) => name)]);
    const named = [
      ...RULES.zones.flatMap(({ mayImport }) => mayImport),
      ...Object.values(RULES.packages).flat(),
    ];
    assert.deepEqual(
      named.filter((name) => !names.has(name)),
      [],
    );
  });
});
