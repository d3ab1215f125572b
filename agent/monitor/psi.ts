/** Pressure stall information: how much of the last 10 s tasks waited for something (Documentation/accounting/psi.rst). */

/** `avg10` of one line (`some` or `full`) of a PSI file, in percent. */
export function parsePsiAvg10(text: string, line: 'some' | 'full'): number | null {
  const match = PATTERNS[line].exec(text);
  return match === null ? null : Number(match[1]);
}

const PATTERNS = {
  some: /^some avg10=([0-9]{1,3}\.[0-9]{1,2})\b/m,
  full: /^full avg10=([0-9]{1,3}\.[0-9]{1,2})\b/m,
} as const;
