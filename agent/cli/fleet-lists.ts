/** `expertd fleet devices` and `expertd fleet records`: what a collector has received. */
import type { DeviceRow, RecordRow } from '../archive.ts';
import { parseFlags, wholeNumber } from './flags.ts';
import { spanMs } from './fleet-times.ts';
import { DATABASE_FLAG, DATABASE_FLAG_HELP, databaseOf, type FleetTools, orFailed } from './fleet-tools.ts';
import { CliError, type Command, EXIT } from './io.ts';
import { duration, percent, printable, table, time } from './print.ts';

const DEVICES_FLAGS = { ...DATABASE_FLAG, json: { type: 'boolean' } } as const;
const RECORDS_FLAGS = {
  ...DATABASE_FLAG,
  device: { type: 'string' },
  since: { type: 'string' },
  limit: { type: 'string' },
  json: { type: 'boolean' },
} as const;

export function fleetDevices(tools: FleetTools): Command {
  return {
    name: 'devices',
    flags: DEVICES_FLAGS,
    summary: 'list the devices that a collector knows',
    usage: `Usage: expertd fleet devices [FLAGS]

LOST are decisions that no longer were on the device when they could be sent: it said so. MISSING did not come yet.
CONFLICTS are records with the number of another one: two devices have one name, or one lost its state.

${DATABASE_FLAG_HELP}
  --json                one object a line`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, DEVICES_FLAGS);
      if (positionals.length > 0) throw new CliError(EXIT.usage, 'devices takes no arguments');
      const archive = await orFailed(tools.openArchive(databaseOf(values)));
      try {
        const rows = archive.devices();
        io.stdout.write(values.json ? lines(rows) : devicesTable(rows));
      } finally {
        archive.close();
      }
      return EXIT.ok;
    },
  };
}

export function fleetRecords(tools: FleetTools): Command {
  return {
    name: 'records',
    flags: RECORDS_FLAGS,
    summary: 'list the records that a collector received',
    usage: `Usage: expertd fleet records [FLAGS]

Newest first: of one device by its numbers, of all by their clocks, which may be wrong.

  --device ID           only those of this device
  --since TIME          an age (30m, 12h, 7d) or a date (2026-11-24, or with the time as 2026-11-24T10:00Z)
  --limit N             how many, 1 to 100000; default 20
${DATABASE_FLAG_HELP}
  --json                one object a line`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, RECORDS_FLAGS);
      if (positionals.length > 0) throw new CliError(EXIT.usage, 'records takes no arguments');
      const sinceMs = values.since === undefined ? null : timeOf(values.since, Date.now());
      const limit = wholeNumber(values.limit ?? '20', '--limit', 1, 100_000);
      const archive = await orFailed(tools.openArchive(databaseOf(values)));
      try {
        const rows = archive.records({ device: values.device ?? null, sinceMs, limit });
        io.stdout.write(values.json ? rows.map(jsonLine).join('') : recordsTable(rows));
      } finally {
        archive.close();
      }
      return EXIT.ok;
    },
  };
}

/** An age before `nowMs`, or a date, as Unix ms. Throws a CliError `usage`. */
export function timeOf(text: string, nowMs: number): number {
  const ageMs = spanMs(text);
  if (ageMs !== null) return nowMs - ageMs;
  const date = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(date)) return date;
  throw new CliError(
    EXIT.usage,
    `--since "${text}" is neither an age nor a date`,
    'As 30m, 12h, 7d or 2026-11-24.',
  );
}

function devicesTable(rows: readonly DeviceRow[]): string {
  if (rows.length === 0) return 'No device was seen.\n';
  const numbers = ['RECORDS', 'LOST', 'MISSING', 'CONFLICTS', 'REFUSED'];
  const cells = rows.map((row) => [
    row.device,
    row.online ? 'online' : 'away',
    row.agent ?? '-',
    ...[row.records, row.lost, row.missing, row.conflicts, row.refused].map(String),
    time(row.lastSeenMs),
  ]);
  return table(['DEVICE', 'STATE', 'VERSION', ...numbers, 'LAST SEEN'], cells, numbers);
}

function recordsTable(rows: readonly RecordRow[]): string {
  if (rows.length === 0) return 'No record fits.\n';
  const cells = rows.map((row) => {
    const { clock, event, expert, choice, outcome, reasons, steps } = told(row.body);
    const first = (value: unknown): unknown => (Array.isArray(value) ? value[0] : undefined);
    return [
      row.device,
      `${row.epoch}:${row.seq}`,
      `${time(row.atMs)}${clock === 'unsynced' ? ' ?' : ''}`,
      word(event),
      word(expert),
      percent(numberIn(choice, 'confidence')),
      duration(numberIn(outcome, 'totalMs')),
      word(first(reasons) ?? first(steps)),
    ];
  });
  const head = ['DEVICE', 'RECORD', 'TIME', 'EVENT', 'EXPERT', 'CONFIDENCE', 'TOOK', 'WHY'];
  return table(head, cells, ['CONFIDENCE', 'TOOK']);
}

/** Devices may be newer than we are, and hostile: nothing is taken for granted. */
function told(body: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(body);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function word(value: unknown): string {
  return typeof value === 'string' ? value.replace(/\s+/g, ' ').slice(0, 100) : '-';
}

function numberIn(value: unknown, key: string): number | null {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  return typeof found === 'number' ? found : null;
}

function lines(rows: readonly DeviceRow[]): string {
  return rows.map((row) => `${printable(JSON.stringify(row))}\n`).join('');
}

function jsonLine({ device, epoch, body }: RecordRow): string {
  return `${printable(JSON.stringify({ device, epoch, ...told(body) }))}\n`;
}
