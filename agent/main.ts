/**
 * The entry of everything that expertd runs: the agent, the commands, and the processes that host experts or
 * prepare them, which are this same program with the hidden commands `cell` and `prepare`. What is not needed is not loaded: a cell never sees the agent's code, nor the other way.
 */
import { toFailure } from './errors.ts';
import { version } from './files.ts';

async function main([name, ...args]: readonly string[]): Promise<void> {
  if (name === 'cell') {
    const { startCell } = await import('./runtime/main.ts');
    return startCell(args);
  }
  if (name === 'prepare') {
    const { startPreparing } = await import('./prepare.ts');
    return startPreparing();
  }
  const [
    { dispatch, clientCommands },
    { completionCommand },
    { openDialogue },
    { openTerminal },
    { operatorCommands },
    { additions, checks, fleetTools, startCommand },
  ] = await Promise.all([
    import('./cli/dispatch.ts'),
    import('./cli/completion.ts'),
    import('./cli/dialogue.ts'),
    import('./cli/terminal.ts'),
    import('./cli/fleet-operator.ts'),
    import('./start.ts'),
  ]);
  const others = [startCommand(version), ...clientCommands(checks, additions, operatorCommands(fleetTools))];
  const commands = [...others, completionCommand(others)];
  const { stdout, stderr, stdin, env } = process;
  // A reader that has enough, as "head", ends a command. Nobody who reads its log, or a full disk, ends the agent.
  for (const stream of [stdout, stderr]) stream.on('error', name === 'start' ? () => {} : endOnClosedPipe);
  const io = {
    stdout,
    stderr,
    stdin,
    env,
    isTTY: stdout.isTTY === true,
    terminal: openTerminal(process),
    dialogue: openDialogue(process),
  };
  process.exitCode = await dispatch(name === undefined ? [] : [name, ...args], commands, version, io);
}

function endOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const { message, hint } = toFailure(error);
  process.stderr.write(`expertd: ${message}\n${hint === null ? '' : `${hint}\n`}`);
  process.exitCode = 1;
});
