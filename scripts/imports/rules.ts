/**
 * Who may import whom. The order is that of ARCHITECTURE.md: words, then what is pure, then what acts, then what
 * joins it all. A file of agent/ or policies/ that no zone names is an error, so a new file says where it belongs.
 */
export interface Zone {
  readonly name: string;
  /** Files, or folders with a slash at the end, from the root. The first zone that fits a file is its zone. */
  readonly files: readonly string[];
  /** Zones that it may import beside itself; `*` is all. */
  readonly mayImport: readonly string[];
  /** No `node:`, no await, no clock, no chance. */
  readonly pure?: true;
}

export interface Rules {
  readonly zones: readonly Zone[];
  /** For each package, the zones that may import it. One that is not named may not be imported there at all. */
  readonly packages: Readonly<Record<string, readonly string[]>>;
  /** The files that may use `import.meta`: it has no meaning in the bundle but there. */
  readonly importMeta: readonly string[];
  readonly maxLines: number;
}

const CONTRACTS = ['types', 'contracts'];
const LEAVES = [...CONTRACTS, 'plain'];

export const RULES: Rules = {
  zones: [
    {
      name: 'types',
      files: [
        'agent/types.ts',
        'agent/events.ts',
        'agent/steps.ts',
        'agent/terms.ts',
        'agent/device.ts',
        'agent/policy.ts',
        'agent/rollout.ts',
        'agent/tuning.ts',
      ],
      mayImport: [],
      pure: true,
    },
    {
      name: 'contracts',
      files: [
        'agent/archive.ts',
        'agent/ports.ts',
        'agent/generation.ts',
        'agent/outbox.ts',
        'agent/service.ts',
        'agent/errors.ts',
        'agent/fleet/link.ts',
      ],
      mayImport: ['types'],
    },
    {
      name: 'core',
      files: [
        'agent/residency.ts',
        'agent/decide.ts',
        'agent/admission.ts',
        'agent/assistants.ts',
        'agent/canary.ts',
        'agent/costs.ts',
        'agent/crashes.ts',
        'agent/draft.ts',
        'agent/eviction.ts',
        'agent/failures.ts',
        'agent/guesses.ts',
        'agent/habits.ts',
        'agent/heat.ts',
        'agent/hosting.ts',
        'agent/language.ts',
        'agent/lessons.ts',
        'agent/prefetch.ts',
        'agent/pressure.ts',
        'agent/proving.ts',
        'agent/recycling.ts',
        'agent/routing.ts',
        'agent/stand-ins.ts',
        'agent/turns.ts',
        'agent/upkeep.ts',
      ],
      mayImport: ['types'],
      pure: true,
    },
    { name: 'policies', files: ['policies/'], mayImport: ['types'], pure: true },
    // Functions of values that several adapters share.
    {
      name: 'plain',
      files: [
        'agent/asks.ts',
        'agent/bytes.ts',
        'agent/codec.ts',
        'agent/datatypes.ts',
        'agent/elements.ts',
        'agent/fleet/broker.ts',
        'agent/golden.ts',
        'agent/golden-tensors.ts',
        'agent/kept-file.ts',
        'agent/nearest.ts',
        'agent/perception.ts',
        'agent/tensors.ts',
        'agent/untouched.ts',
        'agent/validation.ts',
        'agent/verdict.ts',
        'agent/words.ts',
      ],
      mayImport: CONTRACTS,
    },
    { name: 'manifest', files: ['agent/catalog/manifest.ts', 'agent/catalog/prepared.ts'], mayImport: [] },
    {
      name: 'config',
      files: ['agent/config.ts', 'agent/configuration.ts', 'agent/settings.ts'],
      mayImport: [...LEAVES, 'manifest'],
    },
    // What goes over the network, and whom a device believes: no connection is needed to judge it.
    {
      name: 'fleet-words',
      files: ['agent/fleet/topics.ts', 'agent/fleet/documents/'],
      mayImport: [...LEAVES, 'manifest', 'config'],
    },
    { name: 'fleet-trust', files: ['agent/fleet/trust/'], mayImport: [...LEAVES, 'manifest', 'fleet-words'] },
    {
      name: 'engine',
      files: [
        'agent/loop.ts',
        'agent/execute.ts',
        'agent/desk.ts',
        'agent/selftest.ts',
        'agent/senses.ts',
        'agent/speaking.ts',
        'agent/dry-run.ts',
      ],
      mayImport: [...LEAVES, 'core'],
    },
    // Adapters: each behind an interface of the core, none knows another.
    { name: 'linux', files: ['agent/linux/'], mayImport: CONTRACTS },
    { name: 'onnx', files: ['agent/onnx/'], mayImport: CONTRACTS },
    {
      name: 'preparation',
      files: ['agent/preparation/'],
      mayImport: [...LEAVES, 'manifest', 'onnx', 'linux'],
    },
    { name: 'logging', files: ['agent/logging.ts', 'agent/log-tail.ts'], mayImport: CONTRACTS },
    { name: 'clock', files: ['agent/clock.ts'], mayImport: CONTRACTS },
    { name: 'catalog', files: ['agent/catalog/'], mayImport: [...LEAVES, 'manifest', 'config'] },
    // What makes an expert of a folder of a model: reads graphs, writes packages.
    {
      name: 'adding',
      files: ['agent/adding/'],
      mayImport: [...LEAVES, 'manifest', 'config', 'catalog', 'onnx'],
    },
    { name: 'monitor', files: ['agent/monitor/'], mayImport: [...LEAVES, 'linux'] },
    { name: 'store', files: ['agent/store/'], mayImport: LEAVES },
    { name: 'http', files: ['agent/http/'], mayImport: LEAVES },
    // The connection to a broker, under whatever is said over it.
    { name: 'fleet-session', files: ['agent/fleet/session/'], mayImport: LEAVES },
    // The way of the decisions: out of the outbox, and at the other end into a database.
    { name: 'records', files: ['agent/fleet/records/'], mayImport: [...LEAVES, 'fleet-words'] },
    {
      name: 'collector',
      files: ['agent/fleet/collector/'],
      mayImport: [...LEAVES, 'fleet-words', 'records'],
    },
    // What a device does on the fleet's word.
    {
      name: 'fleet-device',
      files: ['agent/fleet/device/'],
      mayImport: [...LEAVES, 'manifest', 'config', 'catalog', 'fleet-words', 'fleet-trust'],
    },
    { name: 'cli', files: ['agent/cli/'], mayImport: [...LEAVES, 'fleet-words', 'fleet-trust'] },
    // What both ends of the pipe between agent and cell must agree on.
    {
      name: 'cell-protocol',
      files: ['agent/cells/protocol.ts', 'agent/cells/channel.ts', 'agent/cells/validate.ts'],
      mayImport: [...LEAVES, 'manifest'],
    },
    { name: 'cells', files: ['agent/cells/'], mayImport: [...LEAVES, 'manifest', 'linux', 'cell-protocol'] },
    {
      name: 'runtime',
      files: ['agent/runtime/'],
      mayImport: [...LEAVES, 'manifest', 'linux', 'cell-protocol'],
    },
    {
      name: 'files',
      files: ['agent/files.ts', 'agent/unpack.ts', 'agent/folders.ts', 'agent/launcher.ts'],
      mayImport: CONTRACTS,
    },
    {
      name: 'assembly',
      files: [
        'agent/agent.ts',
        'agent/parts.ts',
        'agent/asked.ts',
        'agent/chronicle.ts',
        'agent/dry-run.ts',
        'agent/health.ts',
        'agent/refusals.ts',
        'agent/sampler.ts',
        'agent/views.ts',
      ],
      mayImport: [
        ...LEAVES,
        'core',
        'manifest',
        'config',
        'engine',
        'logging',
        'catalog',
        'monitor',
        'cells',
        'preparation',
      ],
    },
    {
      name: 'main',
      files: [
        'agent/main.ts',
        'agent/prepare.ts',
        'agent/start.ts',
        'agent/additions.ts',
        'agent/collecting.ts',
        'agent/membership/',
        'agent/diagnosis.ts',
        'agent/signals.ts',
        'agent/trial.ts',
      ],
      mayImport: ['*'],
    },
  ],
  packages: {
    typebox: [
      'fleet-words',
      'fleet-trust',
      'fleet-device',
      'manifest',
      'config',
      'http',
      'catalog',
      'plain',
      'preparation',
    ],
    ajv: ['plain'],
    fastify: ['http'],
    'prom-client': ['http'],
    pino: ['logging'],
    'better-sqlite3': ['store'],
    'onnxruntime-node': ['runtime'],
    '@huggingface/tokenizers': ['runtime'],
    '@huggingface/jinja': ['runtime'],
    '@eslint-community/regexpp': ['runtime'],
    koffi: ['linux'],
    'node-os-utils': ['monitor'],
    '@bufbuild/protobuf': ['onnx'],
    yaml: ['adding'],
    mqtt: ['fleet-session'],
  },
  // scripts/bundle.mjs puts another module in the place of the second.
  importMeta: ['agent/files.ts', 'agent/http/page/sources.ts'],
  maxLines: 400,
};
