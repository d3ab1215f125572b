/** Says how a cell ended: only what is known, for a person who reads a log. */

export interface CellEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What the agent did to end it; null where it did nothing. */
  readonly ending: Ending | null;
  /** How many processes the kernel killed for want of memory since the cell started; null is "no data". */
  readonly oomKills: number | null;
}

export interface Ending {
  readonly reason: string;
  /** By SIGKILL, not by asking. */
  readonly kill: boolean;
}

/** For instance `killed by SIGSEGV`, `exit code 1`, `stopped by the agent`. */
export function describeEnd({ code, signal, ending, oomKills }: CellEnd): string {
  const how = signal === null ? `exit code ${code}` : `killed by ${signal}`;
  if (ending !== null) {
    const asMeant = ending.kill ? signal === 'SIGKILL' : code === 0;
    return asMeant ? ending.reason : `${ending.reason}, ${how}`;
  }
  if (signal !== 'SIGKILL' || oomKills === null || oomKills <= 0) return how;
  const processes = oomKills === 1 ? 'one process' : `${oomKills} processes`;
  return `${how}; the kernel ended ${processes} for want of memory since this cell started`;
}
