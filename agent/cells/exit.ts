/** Says how a cell ended: only what is known, for a person who reads a log. */

export interface CellEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What the agent did to end it; null where it did nothing. */
  readonly ending: Ending | null;
  /** The kernel counts a kill for want of memory that explains this end. */
  readonly oomKilled: boolean;
}

export interface Ending {
  readonly reason: string;
  /** By SIGKILL, not by asking. */
  readonly kill: boolean;
}

/** Whether somebody else than the agent sent the one signal that the kernel sends for want of memory. */
export function wasKilledByOthers({ signal, ending }: Pick<CellEnd, 'signal' | 'ending'>): boolean {
  return signal === 'SIGKILL' && ending?.kill !== true;
}

/** For instance `killed by SIGSEGV`, `exit code 1`, `stopped by the agent`. */
export function describeEnd({ code, signal, ending, oomKilled }: CellEnd): string {
  const how = signal === null ? `exit code ${code}` : `killed by ${signal}`;
  const known = oomKilled ? `${how} for want of memory, as the kernel counts it` : how;
  if (ending === null) return known;
  const asMeant = ending.kill ? signal === 'SIGKILL' : code === 0;
  return asMeant ? ending.reason : `${ending.reason}, ${known}`;
}
