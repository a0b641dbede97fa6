/**
 * The configuration files: one schema gives types, validation, defaults, editor completion and the reference
 * in docs/config.md. Every field is described here and nowhere else.
 */
import { z } from 'zod';
import { controlName, panelSchema } from './panel.ts';

/** Version of all three file formats. */
export const apiVersion = 'surfaced.dev/v1alpha1';

const name = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and dashes, at most 63')
  .describe('Name: lower-case letters, digits and dashes.');
const kubeName = z.string().min(1).max(253);
const head = { apiVersion: z.literal(apiVersion).describe('Version of this file format.') };
const listen = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'address:port, e.g. 0.0.0.0:8443')
  .refine((value) => Number(value.slice(value.lastIndexOf(':') + 1)) <= 65_535, {
    message: 'expected a port from 0 to 65535',
  })
  .describe('Address and port to listen on; port 0 picks a free one.');
const logLevel = z
  .enum(['error', 'warn', 'info', 'debug'])
  .default('info')
  .describe('Lowest level that is logged.');

/** A user or group that Kubernetes keeps to itself, such as system:masters, is never what a surface acts as. */
const actor = z
  .string()
  .regex(/^(?!system:)[!-~]{1,200}$/, 'visible ASCII that does not begin with system:, at most 200');

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'SHA-256 in hex, 64 digits in lower case');
const unixPath = z.string().min(1).max(4096);

/** Where a TPM is. */
export const tpmSchema = z
  .strictObject({
    device: unixPath
      .optional()
      .describe('Device file of the kernel resource manager; /dev/tpmrm0 when nothing is given.'),
    swtpm: z
      .string()
      .min(1)
      .optional()
      .describe('A software TPM instead: host:port or path of the data socket of swtpm.'),
    mssim: z
      .string()
      .min(1)
      .optional()
      .describe('The TPM reference simulator instead: host:port of its command port.'),
  })
  .refine((tpm) => Object.values(tpm).filter((value) => value !== undefined).length <= 1, {
    message: 'give one of device, swtpm and mssim',
  });

/** What a control scales: one object with a scale subresource. */
export const targetSchema = z.strictObject({
  apiVersion: z
    .string()
    .regex(/^(?:[a-z0-9.-]+\/)?v[a-z0-9]+$/, 'group/version, e.g. apps/v1')
    .describe('API group and version of the target.'),
  kind: z
    .string()
    .regex(/^[A-Z][A-Za-z0-9]{0,62}$/, 'a kind such as Deployment')
    .describe('Kind: anything with a scale subresource.'),
  namespace: kubeName.describe('Namespace of the target.'),
  name: kubeName.describe('Name of the target.'),
});

/** A control, its target and the limits between which it may act. */
export const bindingSchema = z
  .strictObject({
    control: controlName,
    bank: z.int().min(0).max(63).default(0).describe('Bank that this binding is on; 0 is the first.'),
    target: targetSchema.describe('What the control scales.'),
    name: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe('What displays call it; the target name when left out.'),
    min: z.int().min(0).max(100_000).default(1).describe('Least replicas that this control asks for.'),
    max: z.int().min(1).max(100_000).describe('Most replicas that this control asks for.'),
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
      .enum(['arm', 'refuse'])
      .default('arm')
      .describe('What to do when an autoscaler or GitOps tool owns the number.'),
    invert: z.boolean().default(false).describe('Turns the direction of the control around.'),
  })
  .refine((binding) => binding.min <= binding.max, { message: 'must not be above max', path: ['min'] })
  .refine((binding) => binding.min > 0 || binding.zero === 'arm', {
    message: 'zero replicas need `zero: arm`',
    path: ['min'],
  });

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
      bindings: z.array(bindingSchema).max(64).default([]).describe('What each control is bound to.'),
    })
    .describe('Who may act, and on what.'),
});

/** The gateway's own file. */
export const gatewaySchema = z.strictObject({
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
  broker: z
    .strictObject({
      mode: z.literal('embedded').default('embedded').describe('Only the embedded broker so far.'),
      listen: listen.default('0.0.0.0:8883'),
      maxConnections: z.int().min(1).max(10_000).default(1200).describe('Most connections at once.'),
    })
    .prefault({})
    .describe('MQTT broker with mutual TLS.'),
  registry: z
    .strictObject({
      folder: z.string().min(1).describe('Folder of ControlSurface files, watched for changes.'),
    })
    .describe('Where the surfaces and their bindings are kept.'),
  policy: z
    .strictObject({
      identity: z
        .enum(['tpm', 'token'])
        .default('tpm')
        .describe(
          '`tpm` lets attested surfaces in only; `token` also those that hold a one-time token, and calls them not attested.',
        ),
      ekCertificate: z
        .enum(['optional', 'required'])
        .default('optional')
        .describe(
          '`required` refuses TPMs whose certificate does not lead to one of `roots`; `optional` relies on approval and says so.',
        ),
      mayEkCertificateBeExpired: z
        .boolean()
        .default(false)
        .describe('Accepts certificates of endorsement keys after their end; never those of a CA.'),
      roots: unixPath
        .optional()
        .describe('Folder of CA certificates of TPM vendors, PEM or DER; left out: none.'),
      references: unixPath
        .optional()
        .describe('Folder of ReferenceSet files with their signatures, watched for changes; left out: none.'),
      signers: z
        .array(unixPath)
        .max(16)
        .default([])
        .describe('Files with the Ed25519 public keys (PEM) whose signatures make a ReferenceSet count.'),
      acceptUnsigned: z
        .boolean()
        .default(false)
        .describe('Uses ReferenceSet files without a signature, too; for trying out.'),
      requiredLevel: z
        .int()
        .min(0)
        .max(3)
        .default(0)
        .describe('Least level that a surface must hold to act; docs/threat-model.md says what each proves.'),
      bank: z
        .enum(['sha256', 'sha384', 'sha512'])
        .default('sha256')
        .describe('PCR bank that surfaces must quote.'),
    })
    .prefault({})
    .describe('What a surface must prove.'),
  audit: z
    .strictObject({
      tpm: tpmSchema
        .optional()
        .describe(
          "The gateway's own TPM, which then signs the head of the audit log; left out: a key in the state folder.",
        ),
      segmentBytes: z
        .int()
        .min(65_536)
        .max(1_073_741_824)
        .default(67_108_864)
        .describe('A new file is begun when one has this size, bytes; old files may be moved away.'),
    })
    .prefault({})
    .describe('The audit log, in `audit/` of the state folder.'),
  admission: z
    .strictObject({
      listen: listen.default('0.0.0.0:9443'),
      hosts: z
        .array(z.string().min(1).max(253))
        .min(1)
        .max(16)
        .default(['surfaced-admission.surfaced.svc'])
        .describe('Names in its server certificate; the API server must reach it by one of them.'),
      nodes: z
        .array(
          z.strictObject({
            node: kubeName.describe('Name of the Node.'),
            surface: name.describe('Surface whose endorsement key this node has: its state decides.'),
          }),
        )
        .max(5000)
        .default([])
        .describe('Which attested machine each node is.'),
      attestedNodes: z
        .enum(['listed', 'all'])
        .default('listed')
        .describe(
          '`listed`: only nodes above need attestation; `all`: every node does, and unlisted ones are refused.',
        ),
      imageNamespaces: z
        .array(kubeName)
        .max(1000)
        .default([])
        .describe('Namespaces whose Pods may only run image digests of `images`.'),
      images: unixPath
        .optional()
        .describe(
          'File with image digests that may run there, sha256:<hex>, one a line; watched for changes.',
        ),
      exemptNamespaces: z
        .array(kubeName)
        .max(100)
        .default(['kube-system', 'surfaced'])
        .describe('Namespaces that are never refused, so that a gateway that is away does not block itself.'),
    })
    .optional()
    .describe('Validating admission webhook for the cluster; left out: off.'),
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
  health: z.strictObject({ listen }).optional().describe('Plain HTTP endpoint for /healthz; left out: none.'),
  log: z.strictObject({ level: logLevel }).prefault({}).describe('Logging, to stderr.'),
});

const measuredDigest = z
  .string()
  .regex(/^(?:[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/, 'a digest of the bank in hex, lower case');
const instant = z.iso.datetime({ offset: true });

/** Reference values: what evidence must match. A file of its own, signed beside in `<file>.sig`. */
export const referenceSetSchema = z.strictObject({
  ...head,
  kind: z.literal('ReferenceSet').describe('What this file describes.'),
  metadata: z
    .strictObject({
      name,
      version: z
        .int()
        .min(1)
        .max(1_000_000_000)
        .describe('Versions of one name may be valid at the same time: during a rollout, old and new.'),
      description: z.string().max(500).optional().describe('For people.'),
    })
    .describe('Which reference values these are.'),
  spec: z
    .strictObject({
      notBefore: instant.optional().describe('Counts from this time on; left out: at once.'),
      notAfter: instant.optional().describe('Counts until this time; left out: until the file is removed.'),
      bank: z.enum(['sha256', 'sha384', 'sha512']).default('sha256').describe('Bank of all digests below.'),
      pcrs: z
        .array(
          z.strictObject({
            pcr: z.int().min(0).max(15),
            values: z.array(measuredDigest).min(1).max(64).describe('Values that this PCR may have.'),
          }),
        )
        .max(16)
        .default([])
        .describe('PCRs with fixed values; not for PCR 10, which depends on the order of events.'),
      firmware: z
        .array(
          z.strictObject({
            pcr: z.int().min(0).max(15),
            digests: z.array(measuredDigest).max(2000).describe('Digests that events of this PCR may have.'),
          }),
        )
        .max(16)
        .default([])
        .describe('PCRs of the event log of which every event must be known.'),
      files: z
        .array(
          z.strictObject({
            path: unixPath.describe('Path as it was measured.'),
            sha256: z.array(sha256Hex).min(1).max(64).describe('Contents that it may have.'),
            isRequired: z.boolean().default(true).describe('Whether it must have been measured.'),
          }),
        )
        .max(5000)
        .default([])
        .describe('Files that `surfaced measure` has measured.'),
      mayHaveOtherFiles: z
        .boolean()
        .default(false)
        .describe('Whether files that are not listed may have been measured.'),
      ima: z
        .strictObject({
          list: z
            .string()
            .regex(/^[^/]{1,255}$/, 'a file name without a folder')
            .describe(
              'File beside this one with the contents that may run: lines `<digest>  <path>`, as sha256sum writes them.',
            ),
          listSha256: sha256Hex.describe('SHA-256 of that file, which the signature thereby covers.'),
          isPathCompared: z
            .boolean()
            .default(false)
            .describe('Whether the path counts, too; paths in containers are not reliable.'),
          mostViolations: z
            .int()
            .min(0)
            .max(1_000_000)
            .default(0)
            .describe('Entries that may tell of a file that was written while it was measured.'),
        })
        .optional()
        .describe('What the list of IMA may hold; left out: it is not looked at.'),
    })
    .describe('The values.'),
});

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
  health: z.strictObject({ listen }).optional().describe('Plain HTTP endpoint for /healthz; left out: none.'),
  log: z.strictObject({ level: logLevel }).prefault({}).describe('Logging, to stderr.'),
});

export type TargetRef = Readonly<z.infer<typeof targetSchema>>;
export type BindingConfig = Readonly<z.infer<typeof bindingSchema>>;
export type ControlSurface = Readonly<z.infer<typeof controlSurfaceSchema>>;
export type GatewayConfig = Readonly<z.infer<typeof gatewaySchema>>;
export type DeviceConfig = Readonly<z.infer<typeof deviceSchema>>;
export type ReferenceSet = Readonly<z.infer<typeof referenceSetSchema>>;
export type TpmConfig = Readonly<z.infer<typeof tpmSchema>>;

/** All kinds, by the `kind` field. */
export const kinds = {
  ControlSurface: controlSurfaceSchema,
  Gateway: gatewaySchema,
  Device: deviceSchema,
  ReferenceSet: referenceSetSchema,
} as const;
