/** `expertd status`: how the agent is. */
import type { FleetView, Health, StateView } from '../service.ts';
import { findAgent } from './client.ts';
import { AGENT_FLAGS, AGENT_FLAGS_HELP, parseFlags } from './flags.ts';
import { CliError, type Command, EXIT } from './io.ts';
import { bytes, duration, printable, type Style, styleOf, table } from './print.ts';

export const status: Command = {
  name: 'status',
  flags: AGENT_FLAGS,
  summary: 'show memory, cells, requests and problems',
  usage: `Usage: expertd status [FLAGS]

Ends with 1 where the agent is not ready.

${AGENT_FLAGS_HELP}`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, AGENT_FLAGS);
    if (positionals.length > 0)
      throw new CliError(EXIT.usage, `status takes no arguments: "${positionals[0]}"`);
    const agent = findAgent(values, io);
    const { value: state, text } = await agent.get<StateView & { health: Health }>('/expertd/v1/state');
    io.stdout.write(values.json ? `${text}\n` : describe(state, state.health, styleOf(io)));
    return state.health.ready ? EXIT.ok : EXIT.failed;
  },
};

function describe(state: StateView, health: Health, { bold }: Style): string {
  const { policies, log } = state;
  const ready = health.ready ? 'ready' : 'not ready yet';
  const recorded = `${log.lastSequence} entries, ${log.syncedSequence} safe on disk`;
  const lines: readonly (readonly [string, string])[] = [
    ['memory', memoryLine(state)],
    ['device', deviceLine(state)],
    ['requests', `${state.running} running, ${state.waiting} waiting`],
    [
      'policies',
      `router ${policies.router.join(', ')}; residency ${policies.residency}; combiner ${policies.combiner}`,
    ],
    [
      'log',
      log.state === 'ok'
        ? recorded
        : `degraded: ${log.reason ?? 'no reason given'}; ${log.dropped} entries lost`,
    ],
    ...(state.fleet == null ? [] : fleetLines(state.fleet)),
  ];
  const head = `${bold(`expertd ${health.version}`)}, ${ready}, up ${duration(health.uptimeMs)}\n\n`;
  const body = lines.map(([name, text]) => `${name.padEnd(9)} ${text}\n`).join('');
  return head + printable(body + cellTable(state) + problemLines(health));
}

function memoryLine({ budgetBytes, committedBytes, measuredBytes, agentBytes }: StateView): string {
  const share = budgetBytes > 0 ? Math.round((committedBytes / budgetBytes) * 100) : 0;
  const measured = measuredBytes === null ? 'not measured yet' : `measured ${bytes(measuredBytes)}`;
  const agent = agentBytes === null ? '' : `, of which the agent ${bytes(agentBytes)}`;
  return `${bytes(committedBytes)} of ${bytes(budgetBytes)} committed (${share} %); ${measured}${agent}`;
}

function deviceLine({ availableBytes, pressure, admission }: StateView): string {
  const available = availableBytes === null ? '' : `${bytes(availableBytes)} available; `;
  const closed = admission === 'closed' ? '; no expert is loaded now' : '';
  return `${available}pressure ${pressure.level} (${pressure.why})${closed}`;
}

function fleetLines(fleet: FleetView): readonly (readonly [string, string])[] {
  const { device, broker, isUp, reason, delivery, recordsWaiting, genSeen, genApplied, phase } = fleet;
  const link = isUp ? 'connected' : `not connected: ${reason?.message ?? 'the first attempt is under way'}`;
  const records = delivery === 'paused' ? 'no collector is there' : delivery;
  const lines = [
    ['fleet', `${device} at ${broker}, ${link}`],
    ['twin', `${phase}; generation ${genApplied} applied of ${genSeen}`],
    ['records', `${recordsWaiting} not acknowledged (${records})`],
  ] as const;
  const refused = Object.entries(fleet.refused).sort(([, a], [, b]) => b - a);
  if (refused.length === 0) return lines;
  return [...lines, ['refused', refused.map(([why, count]) => `${why} ${count}`).join(', ')]];
}

/** Charged against the budget; PSS as measured; of that, what is clean pages of files. */
const CELL_COLUMNS = ['CELL', 'PID', 'MEMORY', 'MEASURED', 'FILE', 'LEASES', 'EXPERTS'];

function cellTable({ cells }: StateView): string {
  if (cells.length === 0) return '';
  const rows = cells.map(({ id, pid, bytes: size, measuredBytes, fileBytes, leases, experts }) => [
    id,
    pid === null ? '-' : String(pid),
    bytes(size),
    measuredBytes === null ? '-' : bytes(measuredBytes),
    fileBytes === null ? '-' : bytes(fileBytes),
    String(leases),
    experts.join(', ') || '-',
  ]);
  return `\n${table(CELL_COLUMNS, rows, CELL_COLUMNS.slice(1, -1))}`;
}

function problemLines({ problems }: Health): string {
  if (problems.length === 0) return '';
  const lines = problems.map(({ message, hint }) => `- ${message}${hint === null ? '' : ` (${hint})`}\n`);
  return `\nproblems\n${lines.join('')}`;
}
