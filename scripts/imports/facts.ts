/** What the rules ask of a source file, read from TypeScript's own syntax trees, imports of mere types included. */
import { dirname, join, relative, resolve } from 'node:path';
import {
  isCallExpression,
  isExportDeclaration,
  isIdentifier,
  isImportDeclaration,
  isPropertyAccessExpression,
  isShorthandPropertyAssignment,
  isStringLiteral,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast';
import type { FileSystem } from 'typescript/unstable/fs';
import { API } from 'typescript/unstable/sync';

export interface Import {
  /** Path from the root for a file of the project, `node:fs` or the name of the package for anything else. */
  readonly target: string;
  readonly kind: 'static' | 'dynamic';
  readonly line: number;
}

export interface FileFacts {
  /** From the root, with slashes. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** What a pure function may not use, where it is used: `await`, `Date`, `Math.random`, `import.meta` and so on. */
  readonly impure: readonly { readonly what: string; readonly line: number }[];
}

/** Names that reach out of a pure function: clocks, chance, timers, the process, the network, the log. */
const IMPURE_NAMES = new Set([
  'Date',
  'performance',
  'crypto',
  'process',
  'console',
  'globalThis',
  'fetch',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'Promise',
]);

/** Reads all files of the project that `tsconfig.json` in `root` names. `fs` stands in for the disk in tests. */
export function readFacts(root: string, fs?: FileSystem): FileFacts[] {
  const api = new API({ cwd: root, ...(fs === undefined ? {} : { fs }) });
  try {
    const config = join(root, 'tsconfig.json');
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config);
    if (project === undefined) throw new Error(`${config} cannot be read`);
    return project.rootFiles.flatMap((file) => {
      const source = project.program.getSourceFile(file);
      return source === undefined ? [] : [factsOf(source, root, file)];
    });
  } finally {
    api.close();
  }
}

function factsOf(source: SourceFile, root: string, file: string): FileFacts {
  const imports: Import[] = [];
  const impure: { what: string; line: number }[] = [];
  const visit = (node: Node): void => {
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    const found = importOf(node);
    if (found !== null)
      imports.push({ target: targetOf(found.specifier, file, root), kind: found.kind, line });
    const what = impurityOf(node);
    if (what !== null) impure.push({ what, line });
    node.forEachChild(visit);
  };
  visit(source);
  const path = relative(root, file).replaceAll('\\', '/');
  return { path, lines: source.text.replace(/\n$/, '').split('\n').length, imports, impure };
}

function importOf(node: Node): { specifier: string; kind: Import['kind'] } | null {
  if (isImportDeclaration(node) || isExportDeclaration(node)) {
    const { moduleSpecifier } = node;
    if (moduleSpecifier === undefined || !isStringLiteral(moduleSpecifier)) return null;
    return { specifier: moduleSpecifier.text, kind: 'static' };
  }
  if (isCallExpression(node) && node.expression.kind === SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments;
    // A computed path escapes every rule, so it has a name that no rule allows.
    const specifier = argument !== undefined && isStringLiteral(argument) ? argument.text : '(computed)';
    return { specifier, kind: 'dynamic' };
  }
  return null;
}

function targetOf(specifier: string, file: string, root: string): string {
  if (specifier.startsWith('.'))
    return relative(root, resolve(dirname(file), specifier)).replaceAll('\\', '/');
  if (specifier.startsWith('node:') || specifier.startsWith('(')) return specifier;
  const [scope = '', name] = specifier.split('/');
  return scope.startsWith('@') && name !== undefined ? `${scope}/${name}` : scope;
}

function impurityOf(node: Node): string | null {
  if (node.kind === SyntaxKind.AwaitExpression) return 'await';
  if (node.kind === SyntaxKind.AsyncKeyword) return 'async';
  if (node.kind === SyntaxKind.MetaProperty) return 'import.meta';
  if (isPropertyAccessExpression(node)) {
    const owner = node.expression;
    return isIdentifier(owner) && owner.text === 'Math' && node.name.text === 'random' ? 'Math.random' : null;
  }
  return isIdentifier(node) && IMPURE_NAMES.has(node.text) && isReference(node) ? node.text : null;
}

/** `x.process`, `{ process: 1 }` and `interface { process: string }` name a property; `{ process }` is the global. */
function isReference(node: Node): boolean {
  if (isShorthandPropertyAssignment(node.parent)) return true;
  const parent = node.parent as Node & { readonly name?: Node };
  return parent.name !== node;
}
