/** `expertd doctor`: what is wrong with this device and this agent, what it means, and how to mend it. */
import type { ExpertView, Health, StateView } from '../service.ts';
import type { Checks } from './check.ts';
import { type AgentFlags, findAgent } from './client.ts';
import { deviceFindings, type Finding, type Status } from './findings.ts';
import { AGENT_FLAGS, AGENT_FLAGS_HELP, parseFlags } from './flags.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { readOptions, stateDirOf } from './options.ts';
import { bytes, printable, type Style, styleOf } from './print.ts';

/** What a running agent says of itself. */
export interface AgentReport {
  readonly state: StateView & { readonly health: Health };
  readonly experts: readonly ExpertView[];
}

const FLAGS = {
  ...AGENT_FLAGS,
  config: { type: 'string' },
  budget: { type: 'string' },
  'experts-dir': { type: 'string' },
} as const;

export function doctorCommand(checks: Checks): Command {
  return {
    name: 'doctor',
    flags: FLAGS,
    summary: 'find what is wrong with this device, and how to mend it',
    usage: `Usage: expertd doctor [FLAGS]

Looks at the device: memory, heat, power, disk, clock, kernel. Where an agent runs, at its experts and its log as well.
Changes nothing; the speed of the disk is measured once and kept. Ends with 1 where there is a problem.

  --config FILE     configuration whose budget and folders are meant (EXPERTD_CONFIG)
  --budget SIZE     budget to check (EXPERTD_MEMORY_BUDGET)
  --experts-dir DIR folder of expert packages (EXPERTD_EXPERTS_DIR)
${AGENT_FLAGS_HELP}`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, FLAGS);
      if (positionals.length > 0)
        throw new CliError(EXIT.usage, `doctor takes no arguments: "${positionals[0]}"`);
      const { url: _url, json: _json, ...configFlags } = values;
      const stateDir = stateDirOf(values['state-dir'], io.env);
      const survey = await checks.device({ ...readOptions(configFlags, io.env), stateDir });
      const here = { ...values, 'state-dir': survey.stateDisk.path };
      const findings = [...deviceFindings(survey), ...(await lookAtAgent(here, io))];
      const board = survey.board ?? 'this device';
      io.stdout.write(values.json ? `${JSON.stringify(findings)}\n` : describe(board, findings, styleOf(io)));
      return findings.some(({ status }) => status === 'problem') ? EXIT.failed : EXIT.ok;
    },
  };
}

/** An agent that does not run is no problem of the device; one that does not answer is one. */
async function lookAtAgent(flags: AgentFlags, io: Io): Promise<readonly Finding[]> {
  try {
    const agent = findAgent(flags, io);
    const [state, listed] = await Promise.all([
      agent.get<AgentReport['state']>('/expertd/v1/state'),
      agent.get<{ experts: ExpertView[] }>('/expertd/v1/experts'),
    ]);
    return agentFindings({ state: state.value, experts: listed.value.experts });
  } catch (error) {
    if (!(error instanceof CliError) || error.exitCode === EXIT.usage) throw error;
    const isAbsent = error.exitCode === EXIT.notRunning && flags.url === undefined;
    const status = isAbsent ? 'no data' : 'problem';
    return [{ check: 'agent', status, said: error.message, fix: error.hint }];
  }
}

/** What the agent's own word says of its memory, experts and log. */
export function agentFindings({ state, experts }: AgentReport): readonly Finding[] {
  return [agentFinding(state), ...experts.flatMap(expertFinding), logFinding(state)];
}

function agentFinding({ health, pressure, committedBytes, budgetBytes }: AgentReport['state']): Finding {
  const said = `expertd ${health.version}, ${bytes(committedBytes)} of ${bytes(budgetBytes)} committed`;
  if (!health.ready)
    return {
      check: 'agent',
      status: 'warning',
      said: `${said}; not ready yet`,
      fix: 'Wait, then ask again.',
    };
  if (pressure.level === 'ok') return { check: 'agent', status: 'ok', said, fix: null };
  const fix = 'End other programs, or lower memory.budget.';
  return { check: 'agent', status: 'warning', said: `${said}; memory pressure: ${pressure.why}`, fix };
}

function expertFinding({ id, state, error }: ExpertView): readonly Finding[] {
  if (error === null && state !== 'quarantined' && state !== 'failed') return [];
  const said = `${state}: ${error?.message ?? 'no reason is known'}`;
  return [
    { check: `expert ${id}`, status: 'problem', said, fix: error?.hint ?? `See: expertd experts ${id}` },
  ];
}

function logFinding({ log }: StateView): Finding {
  if (log.state === 'ok')
    return { check: 'log', status: 'ok', said: `${log.lastSequence} entries are recorded`, fix: null };
  const said = `decisions are not recorded: ${log.reason ?? 'no reason is known'}; ${log.dropped} entries are lost`;
  return {
    check: 'log',
    status: 'problem',
    said,
    fix: 'Mend the disk of the state directory; see "disk" above.',
  };
}

function describe(board: string, findings: readonly Finding[], style: Style): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.map(({ check, status, said, fix }) => {
    const word = status.padEnd(7);
    const head = `${isGood(status) ? style.dim(word) : style.bold(word)}  ${check.padEnd(width)}  ${printable(said)}\n`;
    return fix === null ? head : `${head}${' '.repeat(11 + width)}-> ${printable(fix)}\n`;
  });
  return `${style.bold(printable(board))}\n\n${lines.join('')}\n${summary(findings)}\n`;
}

function isGood(status: Status): boolean {
  return status === 'ok' || status === 'no data';
}

function summary(findings: readonly Finding[]): string {
  const count = (wanted: Status): number => findings.filter(({ status }) => status === wanted).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  if (problems + warnings === 0) return 'Nothing is wrong.';
  const many = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
  return `${many(problems, 'problem')}, ${many(warnings, 'warning')}.`;
}
