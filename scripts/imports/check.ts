/** Judges facts by rules: a pure function, so that every rule is tested with a file that breaks it. */
import type { FileFacts, Import } from './facts.ts';
import type { Rules, Zone } from './rules.ts';

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

const GENERATED = /\.gen\.ts$/;
/** The part of the tree that has zones; scripts, experts and tests may import what they like. */
const ZONED = /^(agent|policies)\//;

export function check(files: readonly FileFacts[], rules: Rules): Violation[] {
  return [
    ...files.flatMap((file) => tooLong(file, rules)),
    ...files.filter(({ path }) => ZONED.test(path)).flatMap((file) => checkZoned(file, rules)),
    ...cycles(files),
  ];
}

function tooLong({ path, lines }: FileFacts, { maxLines }: Rules): Violation[] {
  if (GENERATED.test(path) || lines <= maxLines) return [];
  return [
    {
      path,
      line: maxLines + 1,
      message: `has ${lines} lines; a file is one idea, ${maxLines} lines at most`,
    },
  ];
}

function checkZoned(file: FileFacts, rules: Rules): Violation[] {
  const { path } = file;
  const zone = zoneOf(path, rules);
  if (zone === null)
    return [{ path, line: 1, message: 'belongs to no zone: name it in scripts/imports/rules.ts' }];
  const imports = file.imports.flatMap((one) => {
    const message = whyForbidden(one, zone, rules);
    return message === null ? [] : [{ path, line: one.line, message }];
  });
  const impure = file.impure.flatMap(({ what, line }) => {
    if (what === 'import.meta' && !rules.importMeta.includes(path)) {
      return [
        {
          path,
          line,
          message: `import.meta means nothing in the bundle; ask ${rules.importMeta.join(', ')}`,
        },
      ];
    }
    return zone.pure ? [{ path, line, message: `${zone.name} is pure, and this is ${what}` }] : [];
  });
  return [...imports, ...impure];
}

function zoneOf(path: string, rules: Rules): Zone | null {
  const fits = (file: string) => (file.endsWith('/') ? path.startsWith(file) : path === file);
  return rules.zones.find(({ files }) => files.some(fits)) ?? null;
}

function whyForbidden({ target }: Import, zone: Zone, rules: Rules): string | null {
  if (target.startsWith('node:')) return zone.pure ? `${zone.name} is pure, and ${target} is not` : null;
  if (ZONED.test(target)) {
    const other = zoneOf(target, rules)?.name;
    // A target without a zone is reported where it is defined; data files are part of whoever reads them.
    if (other === undefined || other === zone.name) return null;
    const allowed = zone.mayImport.includes('*') || zone.mayImport.includes(other);
    return allowed ? null : `${zone.name} may not import ${other} (${target})`;
  }
  if (target === 'package.json')
    return zone.name === 'files' ? null : 'only agent/files.ts reads package.json';
  const zones = rules.packages[target];
  if (zones === undefined) return `${target} is not a package that the agent may import`;
  return zones.includes(zone.name) ? null : `only ${zones.join(', ')} may import ${target}`;
}

/** Every cycle of static imports once, named from its first file in alphabetical order. */
function cycles(files: readonly FileFacts[]): Violation[] {
  const graph = new Map(
    files.map((file) => [file.path, file.imports.filter(({ kind }) => kind === 'static')]),
  );
  const state = new Map<string, 'open' | 'done'>();
  const trail: string[] = [];
  const found: Violation[] = [];
  const visit = (path: string): void => {
    state.set(path, 'open');
    trail.push(path);
    for (const { target, line } of graph.get(path) ?? []) {
      if (state.get(target) === 'open') {
        const cycle = [...trail.slice(trail.indexOf(target)), target];
        found.push({ path, line, message: `imports in a circle: ${cycle.join(' -> ')}` });
      } else if (!state.has(target) && graph.has(target)) visit(target);
    }
    trail.pop();
    state.set(path, 'done');
  };
  for (const path of [...graph.keys()].sort()) if (!state.has(path)) visit(path);
  return found;
}
