/** `expertd experts`: what is installed and where it is; also loads, unloads and pins. */

import { didYouMean } from '../nearest.ts';
import type { ExpertView } from '../service.ts';
import { type AgentClient, findAgent } from './client.ts';
import { AGENT_FLAGS, AGENT_FLAGS_HELP, parseFlags } from './flags.ts';
import { CliError, type Command, EXIT } from './io.ts';
import { bytes, duration, printable, table, time } from './print.ts';

const ACTIONS = ['load', 'park', 'unload', 'pin', 'unpin', 'clear'];

export const experts: Command = {
  name: 'experts',
  flags: AGENT_FLAGS,
  words: { fixed: ACTIONS, of: 'experts' },
  summary: 'list experts; load, park, unload, pin, unpin or clear one',
  usage: `Usage: expertd experts [FLAGS]
       expertd experts [FLAGS] ID
       expertd experts [FLAGS] load|park|unload|pin|unpin|clear ID

A parked expert's weights have left memory, and are back when it is asked. A pinned expert is never evicted. "clear" takes an expert out of quarantine.
A size with "<" is a bound: the expert was never loaded here. FROM says how it came: "added" by hand, "fetched" for the
configuration, or in the "folder" of experts.

${AGENT_FLAGS_HELP}`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, AGENT_FLAGS);
    const [first, second, ...more] = positionals;
    if (more.length > 0) throw new CliError(EXIT.usage, 'one expert at a time');
    const agent = findAgent(values, io);
    if (first === undefined) {
      const { value, text } = await agent.get<{ experts: ExpertView[] }>('/expertd/v1/experts');
      io.stdout.write(values.json ? `${text}\n` : printable(list(value.experts)));
      return EXIT.ok;
    }
    const { value, text } = second === undefined ? await one(agent, first) : await act(agent, first, second);
    io.stdout.write(values.json ? `${text}\n` : printable(detail(value)));
    return EXIT.ok;
  },
};

function one(agent: AgentClient, id: string) {
  if (ACTIONS.includes(id))
    throw new CliError(EXIT.usage, `which expert shall I ${id}?`, `expertd experts ${id} ID`);
  return agent.get<ExpertView>(`/expertd/v1/experts/${encodeURIComponent(id)}`);
}

function act(agent: AgentClient, action: string, id: string) {
  if (!ACTIONS.includes(action)) {
    const hint = `${didYouMean(action, ACTIONS)} There are: ${ACTIONS.join(', ')}.`.trim();
    throw new CliError(EXIT.usage, `there is no action "${action}"`, hint);
  }
  return agent.post<ExpertView>(`/expertd/v1/experts/${encodeURIComponent(id)}/${action}`);
}

function list(views: readonly ExpertView[]): string {
  if (views.length === 0) return 'No expert is installed.\n';
  const rows = views.map((view) => [
    view.id,
    view.version ?? '-',
    view.task ?? '-',
    stateOf(view),
    sizeOf(view),
    view.origin ?? '-',
    String(view.uses),
    time(view.lastUsedMs),
  ]);
  const broken = views.filter(({ error }) => error !== null).map((view) => `\n${view.id}: ${errorOf(view)}`);
  return (
    table(['ID', 'VERSION', 'TASK', 'STATE', 'MEMORY', 'FROM', 'USES', 'LAST USED'], rows, [
      'MEMORY',
      'USES',
    ]) +
    broken.join('') +
    (broken.length > 0 ? '\n' : '')
  );
}

function detail(view: ExpertView): string {
  const { memory } = view;
  const measured = memory?.measured ? 'measured' : 'estimated';
  const lines: readonly (readonly [string, string | null])[] = [
    ['id', view.id],
    ['version', view.version],
    ['task', view.task],
    ['summary', view.summary],
    ['license', view.license],
    ['source', view.source],
    ['came', originOf(view)],
    ['state', stateOf(view)],
    ['cell', view.cell],
    [
      'memory',
      memory === null
        ? null
        : `${bytes(memory.residentBytes)}, while loading ${bytes(memory.loadBytes)} (${measured})`,
    ],
    ['loads in', memory === null ? null : duration(memory.loadMs)],
    [
      'context',
      memory?.cacheBytes
        ? `up to ${bytes(memory.cacheBytes)} more, ${bytes(memory.keptBytes ?? 0)} of it kept`
        : null,
    ],
    ['parked', parkedOf(view)],
    ['prepared', preparedOf(view)],
    ['speaks by', view.base ?? null],
    ['rollout', rolloutOf(view)],
    ['used', `${view.uses} times, last ${time(view.lastUsedMs)}`],
    ['error', view.error === null ? null : errorOf(view)],
  ];
  return lines.flatMap(([name, text]) => (text === null ? [] : [`${name.padEnd(9)} ${text}\n`])).join('');
}

function parkedOf({ memory }: ExpertView): string | null {
  if (memory?.notParkable != null) return `never: ${memory.notParkable}`;
  if (memory?.parkedBytes == null) return null;
  const cold = memory.coldBytes ? `, ${bytes(memory.coldBytes)} are on the disk only` : '';
  return `${bytes(memory.parkedBytes)} stay in memory${cold}`;
}

function preparedOf({ prepared }: ExpertView): string | null {
  if (prepared == null) return null;
  const how = prepared.state === 'prepared' ? 'for this device' : 'not';
  return prepared.reasons.length === 0 ? how : `${how}; ${prepared.reasons.join('; ')}`;
}

function rolloutOf({ rollout }: ExpertView): string | null {
  if (rollout == null) return null;
  const { version, phase, progress, share, answered, failed, error } = rollout;
  switch (phase) {
    case 'fetching':
      return `${version ?? 'another version'} comes${progress === null ? '' : `, ${Math.round(progress * 100)} %`}`;
    case 'failed':
      return `${version ?? 'another version'} does not come: ${error?.message ?? 'no reason is known'}`;
    case 'selfTest':
      return `${version} is to give its golden answers`;
    case 'probation':
      return `${version} answers ${Math.round((share ?? 0) * 100)} % of the requests: ${answered} so far, ${failed} failed`;
    case 'committed':
      return `${version} took its place`;
    case 'rolledBack':
      return `${version} was rolled back: ${error?.message ?? 'no reason is known'}`;
  }
}

function originOf({ origin }: ExpertView): string | null {
  if (origin === 'added') return 'by hand: expertd add';
  if (origin === 'fetched') return 'fetched for the configuration';
  return origin === 'folder' ? 'in the folder of experts' : null;
}

function stateOf({ state, progress, pinned, leases }: ExpertView): string {
  const how = [
    ...(progress === null ? [] : [`${Math.round(progress * 100)} %`]),
    ...(leases > 0 ? [`${leases} at work`] : []),
    ...(pinned ? ['pinned'] : []),
  ];
  return how.length === 0 ? state : `${state} (${how.join(', ')})`;
}

function sizeOf({ memory }: ExpertView): string {
  if (memory === null) return '-';
  return memory.measured ? bytes(memory.residentBytes) : `< ${bytes(memory.residentBytes)}`;
}

function errorOf({ error }: ExpertView): string {
  if (error === null) return '';
  return error.hint === null ? error.message : `${error.message}. ${error.hint}`;
}
