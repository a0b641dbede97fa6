/**
 * What custom resources have beyond the files: the status of a ControlSurface, and SurfaceRequests. The gateway writes
 * both; people only decide a request. Every field is described here and nowhere else.
 */
import { z } from 'zod';
import { apiVersion, name, sha256Hex } from './fields.ts';
import { decisionRules, keyedBy, withRules } from './rules.ts';

/** API group of the custom resources. */
export const kubeGroup = 'surfaced.dev';

const time = z.string().max(64).meta({ format: 'date-time' });

/** metav1.Condition (k8s.io/apimachinery, pkg/apis/meta/v1). */
const conditionSchema = z.strictObject({
  type: z
    .string()
    .max(316)
    .regex(/^[A-Za-z][A-Za-z0-9./-]*$/)
    .describe('What this is about, in CamelCase.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it is so.'),
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('Generation of the object that this was found out for.'),
  lastTransitionTime: time.describe('When the status changed last.'),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[A-Za-z](?:[A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .describe('Why, in one CamelCase word.'),
  message: z.string().max(32_768).describe('Why, in a sentence for people.'),
});
const conditions = keyedBy(z.array(conditionSchema).max(32).describe('How it is.'), ['type']).optional();

/** What the gateway says of a ControlSurface in the cluster. */
export const surfaceStatusSchema = z.strictObject({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('Generation of the object that the gateway has seen last.'),
  conditions: conditions.describe('Approved, Valid, Attested, Connected and Resolved.'),
  level: z
    .int()
    .min(0)
    .max(3)
    .optional()
    .describe('What its evidence supports, 0 to 3; left out while it is not attested.'),
  lastSeen: time
    .optional()
    .describe('When the gateway heard of it last; brought up to date at most once a minute.'),
  firmware: z
    .string()
    .max(512)
    .optional()
    .describe('Version of the program on the surface, by its own word.'),
});

/** A TPM that has knocked and that no surface is approved for. */
export const surfaceRequestSchema = z.strictObject({
  apiVersion: z.literal(apiVersion).describe('Version of this kind.'),
  kind: z.literal('SurfaceRequest').describe('What this is.'),
  spec: withRules(
    z.strictObject({
      decision: z
        .enum(['Approve', 'Deny'])
        .optional()
        .describe('What is decided; left out: nothing yet. Compare the code with the panel first.'),
      surface: name.optional().describe('The surface that this TPM is to be.'),
      pairingCode: z
        .string()
        .regex(/^\d{4}-?\d{4}$/, 'eight digits such as 4821-9037')
        .optional()
        .describe('What the panel shows, if the gateway is to compare it as well.'),
      level: z
        .int()
        .min(0)
        .max(3)
        .optional()
        .describe('What you assert about how it boots, 0 to 3; docs/threat-model.md.'),
      policy: name.optional().describe('Reference sets that its measurements must match.'),
      replace: z
        .boolean()
        .default(false)
        .describe('True puts this TPM in the place of another that the surface has.'),
    }),
    decisionRules,
  )
    .default({ replace: false })
    .describe('The decision: the part that people write.'),
  status: z
    .strictObject({
      ekSha256: sha256Hex.optional().describe("SHA-256 of the endorsement key's SubjectPublicKeyInfo, hex."),
      pairingCode: z.string().max(16).optional().describe('Code that the panel shows.'),
      address: z.string().max(64).optional().describe('Address that it knocked from last.'),
      firmware: z
        .string()
        .max(512)
        .optional()
        .describe('Version of the program on the surface, by its own word.'),
      hasTrustedCertificate: z
        .boolean()
        .optional()
        .describe("Whether the certificate of its TPM leads to one of the operator's roots."),
      certificate: z.string().max(2048).optional().describe('What is known of that certificate.'),
      firstSeen: time.optional().describe('When it knocked first.'),
      observedGeneration: z
        .int()
        .min(0)
        .optional()
        .describe('Generation of the decision that was carried out last.'),
      conditions: conditions.describe(
        'Approved or Denied, and Refused when a decision cannot be carried out.',
      ),
    })
    .optional()
    .describe('What the gateway knows of it: the part that the gateway alone writes.'),
});

export type SurfaceStatus = Readonly<z.infer<typeof surfaceStatusSchema>>;
export type SurfaceRequest = Readonly<z.infer<typeof surfaceRequestSchema>>;
export type Condition = Readonly<z.infer<typeof conditionSchema>>;
