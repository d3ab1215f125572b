/**
 * The entry of everything that expertd runs: the agent, the commands, and the cells, which are this same program with
 * the hidden command `cell`. What is not needed is not loaded: a cell never sees the agent's code, nor the other way.
 */
import { toFailure } from './errors.ts';
import { version } from './files.ts';

async function main([name, ...args]: readonly string[]): Promise<void> {
  if (name === 'cell') {
    const { startCell } = await import('./runtime/main.ts');
    return startCell(args);
  }
  const [{ dispatch, clientCommands }, { checks, startCommand }] = await Promise.all([
    import('./cli/dispatch.ts'),
    import('./start.ts'),
  ]);
  const commands = [startCommand(version), ...clientCommands(checks)];
  const { stdout, stderr, stdin, env } = process;
  const io = { stdout, stderr, stdin, env, isTTY: stdout.isTTY === true };
  process.exitCode = await dispatch(name === undefined ? [] : [name, ...args], commands, version, io);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const { message, hint } = toFailure(error);
  process.stderr.write(`expertd: ${message}\n${hint === null ? '' : `${hint}\n`}`);
  process.exitCode = 1;
});
