/**
 * The configuration files: one schema gives types, validation, defaults, editor completion and the reference
 * in docs/config.md. Every field is described here and nowhere else.
 */
import { z } from 'zod';
import { brokerSchema, severalGateways, shardsSchema } from './brokers.ts';
import { apiVersion, head, kubeName, listen, name, sha256Hex, tpmSchema, unixPath } from './fields.ts';
import { admissionSchema, auditSchema, policySchema } from './gateway-trust.ts';
import { pagesSchema } from './pages.ts';
import { controlName, panelSchema } from './panel.ts';
import { type ReferenceSet, referenceSetSchema } from './reference-set.ts';
import { type Rollout, rolloutSchema, updatesSchema } from './rollout.ts';
import { bindingRules, keyedBy, targetRules, withRules } from './rules.ts';
import { deviceMetricsSchema, gatewayMetricsSchema, tracingSchema } from './telemetry.ts';
import { verbNames } from './verbs.ts';

export { apiVersion, type ReferenceSet, type Rollout, referenceSetSchema };

const logLevel = z
  .enum(['error', 'warn', 'info', 'debug'])
  .default('info')
  .describe('Lowest level that is logged.');

/** A user or group that Kubernetes keeps to itself, such as system:masters, is never what a surface acts as. */
const actor = z
  .string()
  .regex(/^(?!system:)[!-~]{1,200}$/, 'visible ASCII that does not begin with system:, at most 200');

/** What a control acts on: one object. */
const targetFields = z.strictObject({
  apiVersion: z
    .string()
    .regex(/^(?:[a-z0-9.-]+\/)?v[a-z0-9]+$/, 'group/version, e.g. apps/v1')
    .describe('API group and version of the target.'),
  kind: z
    .string()
    .regex(/^[A-Z][A-Za-z0-9]{0,62}$/, 'a kind such as Deployment')
    .describe('Kind: anything with a scale subresource, or what the verb takes.'),
  namespace: z
    .string()
    .max(253)
    .default('')
    .describe('Namespace of the target; left out for a Node, which is in none.'),
  name: kubeName.describe('Name of the target.'),
});
export const targetSchema = withRules(targetFields, targetRules);

/** A control, its target and the limits between which it may act. */
export const bindingSchema = withRules(
  z.strictObject({
    control: controlName,
    bank: z.int().min(0).max(63).default(0).describe('Bank that this binding is on; 0 is the first.'),
    target: targetSchema.describe('What the control acts on.'),
    verb: z
      .enum(verbNames)
      .default('scale')
      .describe('What the control does to the target; docs/bind.md has a table.'),
    name: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe('What displays call it; the target name when left out.'),
    min: z.int().min(0).max(100_000).default(1).describe('Least number that this control asks for.'),
    max: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe('Most that this control asks for; needed where the verb takes a number.'),
    step: z.int().min(1).max(1000).default(1).describe('Replicas for one detent.'),
    colour: z
      .enum(['blue', 'orange', 'green', 'yellow', 'sky', 'vermilion', 'purple', 'white'])
      .optional()
      .describe('Hue of the lights of this target; the next free one when left out.'),
    takeover: z
      .enum(['pickup', 'motor', 'relative', 'jump'])
      .optional()
      .describe(
        'How a control takes over a value it is not at; left out: motor for motor faders, pickup for faders, relative for encoders.',
      ),
    zero: z
      .enum(['never', 'arm'])
      .default('never')
      .describe('Whether zero replicas can be asked for, after arming.'),
    autoscaler: z
      .enum(['arm', 'refuse', 'minReplicas'])
      .default('arm')
      .describe(
        'What to do when an autoscaler or GitOps tool owns the number; minReplicas: move the least number of the autoscaler instead.',
      ),
    show: z
      .enum(['pods', 'claims'])
      .default('pods')
      .describe('What the lights are: the Pods, or the volume claims of a StatefulSet.'),
    invert: z.boolean().default(false).describe('Turns the direction of the control around.'),
  }),
  bindingRules,
);

/** Who a surface is and what it may do; read by the gateway. */
export const controlSurfaceSchema = z.strictObject({
  ...head,
  kind: z.literal('ControlSurface').describe('What this file describes.'),
  metadata: z.strictObject({ name }).describe('Which surface this is about.'),
  spec: z
    .strictObject({
      tpm: z
        .strictObject({
          ekSha256: sha256Hex.describe(
            "SHA-256 of the endorsement key's SubjectPublicKeyInfo, hex; the identity of the surface.",
          ),
          assertedLevel: z
            .int()
            .min(0)
            .max(3)
            .default(0)
            .describe(
              'What you assert about how this surface boots: 0 nothing, 1 measures itself, 2 boots only signed code that measures itself, 3 measures its boot; docs/threat-model.md.',
            ),
        })
        .optional()
        .describe('TPM that this surface is; set by approval.'),
      policy: name
        .optional()
        .describe(
          'Reference sets of this name are what its measurements must match; left out: none, level 0.',
        ),
      isRevoked: z
        .boolean()
        .default(false)
        .describe('True ends every session of this surface and lets none begin.'),
      // registry/check.ts sees to it that none is bound twice.
      bindings: keyedBy(z.array(bindingSchema).max(64), ['bank', 'control'])
        .default([])
        .describe('What each control is bound to.'),
    })
    .describe('Who may act, and on what.'),
});

const gatewayFields = z.strictObject({
  ...head,
  kind: z.literal('Gateway').describe('What this file describes.'),
  site: name.default('site').describe('Site: first part of all topics.'),
  name: name.default('gateway').describe('Name of this gateway on the wire.'),
  stateDir: z.string().min(1).describe('Folder for the CA, tokens and enrolment state; made with mode 0700.'),
  enrol: z
    .strictObject({
      listen: listen.default('0.0.0.0:8443'),
      hosts: z
        .array(z.string().min(1).max(253))
        .min(1)
        .max(16)
        .default(['localhost', '127.0.0.1'])
        .describe(
          'Host names and addresses in the server certificate; surfaces must reach the gateway by one of them.',
        ),
      certificateTtlSeconds: z
        .int()
        .min(60)
        .max(600)
        .default(600)
        .describe('Life of a client certificate, seconds; ten minutes at most.'),
    })
    .prefault({})
    .describe('HTTPS endpoint where surfaces prove themselves and fetch certificates.'),
  broker: brokerSchema,
  shards: shardsSchema,
  registry: z
    .strictObject({
      folder: z
        .string()
        .min(1)
        .optional()
        .describe('Folder of ControlSurface files, watched for changes; without a cluster registry.'),
      cluster: z
        .strictObject({
          namespace: name
            .default('surfaced')
            .describe('Namespace of the ControlSurfaces and SurfaceRequests.'),
        })
        .optional()
        .describe('Custom resources in the cluster instead of a folder; see docs/registry.md.'),
    })
    .refine(({ folder, cluster }) => (folder === undefined) !== (cluster === undefined), {
      message: 'give one of folder and cluster',
    })
    .describe('Where the surfaces and their bindings are kept.'),
  policy: policySchema,
  audit: auditSchema,
  admission: admissionSchema,
  updates: updatesSchema,
  cluster: z
    .strictObject({
      kubeconfig: z
        .string()
        .min(1)
        .optional()
        .describe(
          'Kubeconfig file; left out: KUBECONFIG, ~/.kube/config, or the service account of the Pod.',
        ),
      context: z.string().min(1).optional().describe('Context in the kubeconfig; left out: its current one.'),
      userPrefix: actor.default('surfaced:surface:').describe('The gateway acts as user <prefix><surface>.'),
      group: actor.default('surfaced:surfaces').describe('Group that every surface acts in.'),
    })
    .prefault({})
    .describe('The Kubernetes API server.'),
  health: z
    .strictObject({ listen })
    .optional()
    .describe('Plain HTTP endpoint for /livez, /readyz, /healthz and /metrics; left out: none.'),
  metrics: gatewayMetricsSchema,
  tracing: tracingSchema,
  pages: pagesSchema,
  log: z.strictObject({ level: logLevel }).prefault({}).describe('Logging, to stderr.'),
});

/** The gateway's own file. */
export const gatewaySchema = severalGateways(gatewayFields);

/** The file of the Pi's daemon. */
export const deviceSchema = z.strictObject({
  ...head,
  kind: z.literal('Device').describe('What this file describes.'),
  gateway: z
    .strictObject({
      url: z.url({ protocol: /^https$/ }).describe('Address of the gateway, https.'),
      caPin: z
        .string()
        .regex(/^sha256:[0-9a-f]{64}$/, 'sha256:<64 hex digits>')
        .describe('Pin of the gateway CA, as `surfaced enroll token` prints it.'),
    })
    .optional()
    .describe('The gateway that this surface belongs to; only `surfaced demo --device` does without.'),
  identity: z
    .strictObject({
      token: z
        .string()
        .regex(/^[a-z0-9]{6}\.[a-z0-9]{32}$/, 'a token as `surfaced enroll token` prints it')
        .optional()
        .describe('One-time token.'),
      tokenFile: z.string().min(1).optional().describe('File that holds the one-time token.'),
      tpm: tpmSchema
        .extend({
          firmwareLog: unixPath
            .default('/sys/kernel/security/tpm0/binary_bios_measurements')
            .describe('TCG event log; many boards have none.'),
          imaLog: unixPath
            .default('/sys/kernel/security/ima/binary_runtime_measurements')
            .describe('Measurement list of IMA; there only where the kernel measures.'),
          measuredLog: unixPath
            .default('/run/surfaced/measure.log')
            .describe('What `surfaced measure` has written.'),
          systemdLog: unixPath
            .default('/run/log/systemd/tpm2-measure.log')
            .describe('What systemd has measured, where it does.'),
        })
        .optional()
        .describe('Attests by this TPM; `tpm: {}` is the one at /dev/tpmrm0.'),
    })
    .refine(
      ({ token, tokenFile, tpm }) =>
        [token, tokenFile, tpm].filter((value) => value !== undefined).length === 1,
      { message: 'give one of tpm, token and tokenFile' },
    )
    .optional()
    .describe('How the surface proves itself; only `surfaced demo --device` does without.'),
  panel: panelSchema.describe('The panel.'),
  surface: z
    .strictObject({
      isLockedAtStart: z
        .boolean()
        .default(false)
        .describe('Start locked; a long press of the lock control unlocks.'),
      lockAfterIdleSeconds: z
        .int()
        .min(0)
        .max(86_400)
        .default(0)
        .describe('Lock after so many seconds without input; 0: never.'),
      settleMs: z
        .int()
        .min(50)
        .max(2000)
        .default(150)
        .describe('A value counts when it has rested this long, milliseconds.'),
      longestMoveMs: z
        .int()
        .min(100)
        .max(5000)
        .default(500)
        .describe('A moving value is sent this often at the latest, milliseconds.'),
    })
    .prefault({})
    .describe('How the surface behaves.'),
  health: z
    .strictObject({ listen })
    .optional()
    .describe('Plain HTTP endpoint for /livez, /readyz and /healthz; left out: none.'),
  metrics: deviceMetricsSchema,
  log: z.strictObject({ level: logLevel }).prefault({}).describe('Logging, to stderr.'),
});

export type TargetRef = Readonly<z.infer<typeof targetSchema>>;
export type BindingConfig = Readonly<z.infer<typeof bindingSchema>>;
export type ControlSurface = Readonly<z.infer<typeof controlSurfaceSchema>>;
export type GatewayConfig = Readonly<z.infer<typeof gatewaySchema>>;
export type DeviceConfig = Readonly<z.infer<typeof deviceSchema>>;
export type TpmConfig = Readonly<z.infer<typeof tpmSchema>>;

/** All kinds, by the `kind` field. */
export const kinds = {
  ControlSurface: controlSurfaceSchema,
  Gateway: gatewaySchema,
  Device: deviceSchema,
  ReferenceSet: referenceSetSchema,
  Rollout: rolloutSchema,
} as const;
