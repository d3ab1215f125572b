/**
 * The configuration: one strict schema, which validates, types and documents (`schema/config.schema.json` is made
 * from it). Unknown keys are errors that name the nearest key; a bad configuration is refused whole.
 */
import { type Static, Type } from 'typebox';
import { ExpertIdSchema } from './catalog/manifest.ts';

const strict = { additionalProperties: false } as const;
const milliseconds = (fallback: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 86_400_000, default: fallback, description });
const positive = (fallback: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: 1_000_000_000, default: fallback, description });
/** `300MB`, `1.5GiB`, or a number of bytes. */
const Bytes = Type.Union([
  Type.Integer({ minimum: 1 }),
  Type.String({ pattern: '^[0-9]+(\\.[0-9]+)? ?([kKMGT](i?B)?|B)?$' }),
]);

export const ConfigSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    http: Type.Object(
      {
        host: Type.String({
          default: '127.0.0.1',
          description: 'Address to bind. Off loopback a token is required.',
        }),
        port: Type.Integer({
          minimum: 0,
          maximum: 65_535,
          default: 8484,
          description: '0 takes any free port.',
        }),
        token: Type.Optional(
          Type.String({
            minLength: 16,
            description: 'Bearer token. Prefer EXPERTD_HTTP_TOKEN or tokenFile.',
          }),
        ),
        tokenFile: Type.Optional(Type.String({ description: 'File that holds the bearer token.' })),
        allowedHosts: Type.Array(Type.String(), {
          default: [],
          description: 'Further values of the Host header to accept.',
        }),
        corsOrigins: Type.Array(Type.String(), {
          default: [],
          description: 'Origins that browsers may call from.',
        }),
        maxBodyBytes: positive(1_048_576, 'Larger bodies are refused with 413.'),
      },
      { ...strict, default: {} },
    ),
    memory: Type.Object(
      {
        budget: Type.Optional(Bytes),
        availableLow: Type.Optional(Bytes),
        psiSomeHigh: Type.Number({
          minimum: 0,
          maximum: 100,
          default: 20,
          description: 'PSI some avg10 above which no load starts.',
        }),
        psiFullHigh: Type.Number({
          minimum: 0,
          maximum: 100,
          default: 5,
          description: 'PSI full avg10 above which no load starts.',
        }),
        parking: Type.Boolean({
          default: true,
          description:
            'Let the weights of idle language models leave memory while their sessions stay built.',
        }),
        prefetch: Type.Boolean({
          default: true,
          description: 'Load what is likely to be asked next, while there is room for it.',
        }),
        sampleMs: Type.Integer({
          minimum: 100,
          maximum: 60_000,
          default: 2_000,
          description: 'Time between two looks at the device.',
        }),
      },
      { ...strict, default: {} },
    ),
    stateDir: Type.Optional(
      Type.String({ description: 'Default: $XDG_STATE_HOME/expertd, else ~/.local/state/expertd.' }),
    ),
    expertsDir: Type.Optional(
      Type.String({ description: 'Folder of expert packages. Default: the experts that ship with expertd.' }),
    ),
    embedder: Type.Union([ExpertIdSchema, Type.Null()], {
      default: 'embedder',
      description: 'Expert that turns requests into vectors for the router; null routes by words alone.',
    }),
    languageDetector: Type.Union([ExpertIdSchema, Type.Null()], {
      default: 'lang-id',
      description: 'Expert that names the language of a request for the router; null minds no languages.',
    }),
    generalist: Type.Union([ExpertIdSchema, Type.Null()], {
      default: null,
      description: 'Expert that takes what no specialist claims.',
    }),
    policies: Type.Object(
      {
        router: Type.Array(Type.Union([Type.Literal('rules'), Type.Literal('nearest')]), {
          minItems: 1,
          default: ['rules', 'nearest'],
          description: 'Asked in order; the first that is confident decides.',
        }),
        residency: Type.Union([Type.Literal('lru'), Type.Literal('gdsf')], {
          default: 'gdsf',
          description: 'Who is evicted first.',
        }),
        combiner: Type.Literal('best', {
          default: 'best',
          description: 'How ranked candidates become an answer.',
        }),
        minScore: Type.Number({
          minimum: 0,
          maximum: 1,
          default: 0.36,
          description: 'Below it the router abstains.',
        }),
        tieMargin: Type.Number({
          minimum: 0,
          maximum: 1,
          default: 0.02,
          description: 'A resident expert wins over a better absent one within this.',
        }),
      },
      { ...strict, default: {} },
    ),
    limits: Type.Object(
      {
        loadWaitMs: milliseconds(30_000, 'How long a request waits for a load.'),
        loadDeadlineMs: milliseconds(120_000, 'A load that takes longer ends with its cell.'),
        fastDeadlineMs: milliseconds(10_000, 'Longest run in the fast lane.'),
        heavyDeadlineMs: milliseconds(300_000, 'Longest run in the heavy lane.'),
        swapDelayMs: milliseconds(
          2_000,
          'How long a request waits for an expert while others, which are in memory, go on answering.',
        ),
        idleMs: milliseconds(900_000, 'An expert that is unused this long is unloaded; 0 keeps it.'),
        maxQueue: positive(512, 'Requests under way at once; one more gets 429.'),
      },
      { ...strict, default: {} },
    ),
    log: Type.Object(
      {
        text: Type.Boolean({ default: false, description: 'Keep the text of requests in the decision log.' }),
        maxRows: positive(200_000, 'Events kept.'),
        maxBytes: Type.Union([Type.Integer({ minimum: 1_048_576 }), Type.String()], {
          default: '256MB',
          description: 'Size of the database.',
        }),
        syncMs: Type.Integer({
          minimum: 10,
          maximum: 60_000,
          default: 250,
          description: 'Bound on what a power cut may lose.',
        }),
        level: Type.Union(
          ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map((level) => Type.Literal(level)),
          { default: 'info' },
        ),
      },
      { ...strict, default: {} },
    ),
    fleet: Type.Object(
      {
        url: Type.Union([Type.String({ pattern: '^[a-z]+://.+$' }), Type.Null()], {
          default: null,
          description: 'mqtt://HOST or mqtts://HOST: joins this device to a fleet. null: it stands alone.',
        }),
        device: Type.Optional(
          Type.String({
            pattern: '^[A-Za-z0-9_-]{1,64}$',
            description: 'Its name in the fleet. Default: made of the machine id once, and kept in stateDir.',
          }),
        ),
        root: Type.String({
          pattern: '^[A-Za-z0-9_-]{1,64}$',
          default: 'expertd',
          description: 'First level of all topics.',
        }),
        protocol: Type.Union(
          ['auto', '3.1.1', '5'].map((version) => Type.Literal(version)),
          { default: 'auto', description: 'Version of MQTT. auto: 5 where the broker has it, else 3.1.1.' },
        ),
        keepaliveSeconds: Type.Integer({
          minimum: 5,
          maximum: 3_600,
          default: 60,
          description: 'A silent connection is given up after one and a half times this.',
        }),
        outboxRows: Type.Integer({
          minimum: 1_000,
          maximum: 10_000_000,
          default: 100_000,
          description: 'Records kept for the fleet while it does not take them.',
        }),
        outboxBytes: Type.Union([Type.Integer({ minimum: 65_536 }), Type.String()], {
          default: '16MB',
          description: 'Their size.',
        }),
        homeAssistant: Type.Union(
          [
            Type.Literal(false),
            Type.Object(
              {
                prefix: Type.String({
                  pattern: '^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$',
                  maxLength: 64,
                  description: 'Of the topics of MQTT discovery: homeassistant, if it was not told another.',
                }),
              },
              strict,
            ),
          ],
          {
            default: false,
            description:
              'Announces this device to Home Assistant: state, temperature, resident experts, and a button that unloads idle ones. Nobody signs what the button sends, so it can do no more than that.',
          },
        ),
        user: Type.Optional(Type.String({ minLength: 1, description: 'User name at the broker.' })),
        passwordFile: Type.Optional(
          Type.String({ description: 'File that holds the password of that user.' }),
        ),
        tls: Type.Object(
          {
            ca: Type.Optional(
              Type.String({
                description: 'PEM file of who signs the broker. Default: the authorities of Node.',
              }),
            ),
            cert: Type.Optional(Type.String({ description: 'PEM file of the certificate of this device.' })),
            key: Type.Optional(Type.String({ description: 'PEM file of its private key.' })),
            serverName: Type.Optional(
              Type.String({ minLength: 1, description: 'Name to ask for and to expect. Default: the host.' }),
            ),
            alpn: Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
              default: [],
              description: 'Protocols to offer by ALPN, as x-amzn-mqtt-ca for AWS IoT on port 443.',
            }),
          },
          { ...strict, default: {}, description: 'Counts with mqtts: only.' },
        ),
      },
      { ...strict, default: {} },
    ),
    experts: Type.Array(
      Type.Object(
        {
          id: ExpertIdSchema,
          version: Type.Optional(Type.String({ pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$' })),
          sources: Type.Array(
            Type.Object(
              {
                uri: Type.String({
                  description: 'file:FOLDER or https://HOST/FOLDER: a folder that holds expert.json.',
                }),
                sha256: Type.Optional(
                  Type.String({ pattern: '^[0-9a-f]{64}$', description: 'sha256 of its expert.json.' }),
                ),
              },
              strict,
            ),
            { default: [], description: 'Tried in order. Empty: the expert is in expertsDir.' },
          ),
          pinned: Type.Boolean({ default: false, description: 'Never evicted.' }),
          fallback: Type.Optional(
            Type.Unsafe<string>({
              ...ExpertIdSchema,
              description: 'Expert that answers in its place where memory is short; the reply says so.',
            }),
          ),
          canary: Type.Optional(
            Type.Object(
              {
                share: Type.Number({
                  exclusiveMinimum: 0,
                  maximum: 1,
                  description: 'Of the requests for this expert.',
                }),
                decisions: Type.Optional(
                  Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Answers that it must give.' }),
                ),
                minutes: Type.Optional(
                  Type.Number({
                    exclusiveMinimum: 0,
                    maximum: 43_200,
                    description: 'Time that it must last.',
                  }),
                ),
              },
              {
                ...strict,
                description:
                  'What a new version must show, beside its golden answers, before it takes the place of the old one: it answers a share of the requests for so many answers or so long. Without it, golden answers are enough.',
              },
            ),
          ),
          contextTokens: Type.Optional(
            Type.Integer({
              minimum: 128,
              maximum: 1_048_576,
              description:
                'Tokens of prompt and answer that memory is reserved for, of a language model. Default: 2048, or what the model was made for if that is less.',
            }),
          ),
        },
        strict,
      ),
      {
        default: [],
        description: 'Experts this device should have beside those in expertsDir, and settings of those.',
      },
    ),
    without: Type.Array(ExpertIdSchema, {
      default: [],
      description: 'Experts that this device does not have, wherever their folders lie.',
    }),
  },
  { ...strict, title: 'edge.config.json', description: 'Configuration of expertd.' },
);

/** As validated, defaults filled in, sizes still as written. */
export type Config = Static<typeof ConfigSchema>;
