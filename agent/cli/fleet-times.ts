/** Spans of time as people write them: 30s, 10m, 12h, 7d. */

const MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In ms; null for what is no span. */
export function spanMs(text: string): number | null {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = MS[unit];
  return unitMs === undefined ? null : Number(count) * unitMs;
}
