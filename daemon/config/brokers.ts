/** Fields of the Gateway file for a broker of others and for several gateways; schema.ts puts them in their places. */
import { z } from 'zod';
import { listen, name, unixPath } from './fields.ts';

/** The broker inside of the gateway. */
export const embeddedBrokerSchema = z
  .strictObject({
    mode: z.literal('embedded').default('embedded').describe('The broker inside of the gateway.'),
    listen: listen.default('0.0.0.0:8883'),
    maxConnections: z.int().min(1).max(10_000).default(1200).describe('Most connections at once.'),
  })
  .meta({ title: 'embedded' });

const brokerUrl = z
  .url({ protocol: /^mqtts$/ })
  .refine((url) => !/[/?#@]/.test(url.slice('mqtts://'.length)), { message: 'mqtts://host:port' });

/** An MQTT cluster that is there already. */
export const externalBrokerSchema = z
  .strictObject({
    mode: z.literal('external').describe('An MQTT broker or cluster that you run; see docs/brokers.md.'),
    urls: z
      .array(brokerUrl)
      .min(1)
      .max(16)
      .describe('Nodes of the broker as the gateway reaches them, taken in turn: mqtts://host:port.'),
    surfaceUrl: brokerUrl
      .optional()
      .describe('Address of the broker that surfaces are told; the first of `urls` when left out.'),
    ca: unixPath.describe("File with the CAs that the broker's certificate is checked against, PEM."),
    certificate: unixPath.optional().describe("The gateway's client certificate, a PEM file."),
    key: unixPath.optional().describe('Its private key, a PEM file.'),
    clientId: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'letters, digits, _ and -, at most 64')
      .optional()
      .describe('MQTT client id; another one for each gateway; `_gw-<name>` when left out.'),
    username: z.string().min(1).max(256).optional().describe('User name, for brokers that want one.'),
    passwordFile: unixPath.optional().describe('File that holds the password of `username`.'),
    probe: z
      .boolean()
      .default(true)
      .describe('Try at every connection whether the broker keeps surfaces apart.'),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    message: 'certificate and key belong together',
    path: ['key'],
  })
  .refine(({ username, passwordFile }) => (username === undefined) === (passwordFile === undefined), {
    message: 'username and passwordFile belong together',
    path: ['passwordFile'],
  })
  .refine(({ certificate, username }) => certificate !== undefined || username !== undefined, {
    message: 'give a certificate or a username, so that the broker can tell the gateway from surfaces',
    path: ['certificate'],
  })
  .meta({ title: 'external' });

/** Where surfaces and gateways meet; a file without `mode` means the embedded broker. */
export const brokerSchema = z
  .preprocess(
    (value) =>
      typeof value === 'object' && value !== null && !('mode' in value)
        ? { mode: 'embedded', ...value }
        : value,
    z.discriminatedUnion('mode', [embeddedBrokerSchema, externalBrokerSchema]),
  )
  .prefault({})
  .describe('MQTT broker with mutual TLS.');

/** How several gateways share the surfaces; left out: there is one gateway. */
export const shardsSchema = z
  .strictObject({
    count: z
      .int()
      .min(16)
      .max(64)
      .default(16)
      .describe(
        'Into how many shards surfaces are divided; the same in all gateways, and changed only while none runs. With the embedded broker it is 1: one gateway is active.',
      ),
    namespace: name.default('surfaced').describe('Namespace of the Leases.'),
    durationSeconds: z
      .int()
      .min(5)
      .max(120)
      .default(15)
      .describe('Longest time until another gateway takes over from one that was killed, seconds.'),
    ca: unixPath
      .optional()
      .describe(
        'File with certificate and key of the CA, the same for all gateways; left out: `ca.pem` in stateDir, copied there by you.',
      ),
  })
  .optional()
  .describe('Several gateways, of which exactly one acts for each surface.');

/** What several gateways need, and what they cannot do yet. */
export const severalGateways = <
  S extends z.ZodType<{ shards?: unknown; updates?: unknown; registry: { cluster?: unknown } }>,
>(
  gateway: S,
): S =>
  gateway
    .refine(({ shards, registry }) => shards === undefined || registry.cluster !== undefined, {
      message: 'several gateways need their registry in the cluster (registry.cluster)',
      path: ['shards'],
    })
    .refine(({ shards, updates }) => shards === undefined || updates === undefined, {
      message: 'several gateways cannot roll updates out: leave it to a gateway without shards',
      path: ['updates'],
    }) as S;

export type ExternalBrokerConfig = Readonly<z.infer<typeof externalBrokerSchema>>;
export type ShardsConfig = Readonly<NonNullable<z.infer<typeof shardsSchema>>>;
