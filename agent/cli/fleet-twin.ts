/** `expertd fleet twin` and `expertd fleet cmd`: what a device shall be and do. Envelopes go out as they were signed. */
import { parseFlags, wholeNumber } from './flags.ts';
import { readInput } from './fleet-files.ts';
import { BROKER_FLAGS, BROKER_FLAGS_HELP, brokerOf, type FleetTools, orFailed } from './fleet-tools.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { printable } from './print.ts';

const CMD_FLAGS = { ...BROKER_FLAGS, wait: { type: 'string' } } as const;
const WAIT_SECONDS = '60';

export function fleetTwin(tools: FleetTools): Command {
  return {
    name: 'twin',
    flags: BROKER_FLAGS,
    words: { fixed: ['get', 'set'], of: 'files' },
    summary: 'show or set what a device shall be',
    usage: `Usage: expertd fleet twin get DEVICE --url URL [FLAGS]
       expertd fleet twin set DEVICE FILE --url URL [FLAGS]

"get" prints the desired document that the broker keeps for a device, and what the device reported last. "set" publishes
the envelope in FILE ("-" is stdin), made by "expertd fleet sign". Whether it is followed is the device's decision.

${BROKER_FLAGS_HELP}`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, BROKER_FLAGS);
      const [action, device, file, ...more] = positionals;
      if (device === undefined || more.length > 0)
        throw new CliError(EXIT.usage, 'twin get DEVICE, or set DEVICE FILE');
      const broker = brokerOf(values, io.env);
      if (action === 'get' && file === undefined) return get(tools, broker, device, io);
      if (action !== 'set' || file === undefined)
        throw new CliError(EXIT.usage, `twin get DEVICE, or set DEVICE FILE: not "${action}"`);
      await orFailed(tools.setDesired(broker, device, await readInput(file, io)));
      io.stdout.write(`The broker keeps it for ${device}.\n`);
      return EXIT.ok;
    },
  };
}

export function fleetCmd(tools: FleetTools): Command {
  return {
    name: 'cmd',
    flags: CMD_FLAGS,
    words: { of: 'files' },
    summary: 'send a signed command to a device and wait for its answer',
    usage: `Usage: expertd fleet cmd DEVICE FILE --url URL [FLAGS]

Publishes the envelope in FILE ("-" is stdin), made by "expertd fleet sign", and prints what the device answers. A device
that is away gets it when it comes back, if it has not expired by then.

  --wait SECONDS        for the last answer; default ${WAIT_SECONDS}, 0 does not wait
${BROKER_FLAGS_HELP}`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, CMD_FLAGS);
      const [device, file, ...more] = positionals;
      if (device === undefined || file === undefined || more.length > 0)
        throw new CliError(EXIT.usage, 'cmd DEVICE FILE');
      const waitMs = wholeNumber(values.wait ?? WAIT_SECONDS, '--wait', 0, 86_400) * 1_000;
      let last: string | null = null;
      const envelope = await readInput(file, io);
      await orFailed(
        tools.command(
          brokerOf(values, io.env),
          device,
          envelope,
          waitMs,
          ({ state, reason, detail, isFinal }) => {
            io.stderr.write(printable(`${state}${reason === null ? '' : ` (${reason})`}\n`));
            if (detail !== null) io.stdout.write(`${printable(detail)}\n`);
            if (isFinal) last = state;
          },
        ),
      );
      return exitOf(last, waitMs, io);
    },
  };
}

function exitOf(last: string | null, waitMs: number, io: Io): number {
  if (last === 'SUCCEEDED' || (last === null && waitMs === 0)) return EXIT.ok;
  if (last === 'REJECTED') return EXIT.refused;
  if (last === null) io.stderr.write(`no last answer within ${waitMs / 1_000} s: it may still come\n`);
  return EXIT.failed;
}

async function get(
  tools: FleetTools,
  broker: Parameters<FleetTools['twin']>[0],
  device: string,
  io: Io,
): Promise<number> {
  const [desired, reported] = await Promise.all([
    orFailed(tools.twin(broker, device, 'desired')),
    orFailed(tools.twin(broker, device, 'reported')),
  ]);
  const shown = { device, desired: desired === null ? null : document(desired), reported: parsed(reported) };
  io.stdout.write(`${printable(JSON.stringify(shown, null, 2))}\n`);
  return EXIT.ok;
}

/** The document in an envelope, for people to read; nobody has checked its signature here. */
function document(envelope: Uint8Array): unknown {
  const value = parsed(envelope);
  const payload: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, 'payload') : undefined;
  return typeof payload === 'string' ? parsed(Buffer.from(payload, 'base64')) : value;
}

function parsed(bytes: Uint8Array | null): unknown {
  if (bytes === null) return null;
  const text = Buffer.from(bytes).toString();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
