/** What a gateway demands of surfaces, what it records, and what it keeps from nodes that are not attested. */
import { z } from 'zod';
import { kubeName, listen, name, tpmSchema, unixPath } from './fields.ts';

/** What a surface must prove. */
export const policySchema = z
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
  .describe('What a surface must prove.');

/** The audit log. */
export const auditSchema = z
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
  .describe('The audit log, in `audit/` of the state folder.');

/** The admission webhook. */
export const admissionSchema = z
  .strictObject({
    listen: listen.default('0.0.0.0:9443'),
    hosts: z
      .array(z.string().min(1).max(253))
      .min(1)
      .max(16)
      .default(['surfaced-admission.surfaced.svc'])
      .describe('Names in its server certificate; the API server must reach it by one of them.'),
    clientCa: unixPath
      .optional()
      .describe(
        'File with CA certificates (PEM): the API server must show a certificate of one; left out: who reaches the port may ask.',
      ),
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
      .describe('File with image digests that may run there, sha256:<hex>, one a line; watched for changes.'),
    exemptNamespaces: z
      .array(kubeName)
      .max(100)
      .default(['kube-system', 'surfaced'])
      .describe('Namespaces that are never refused, so that a gateway that is away does not block itself.'),
  })
  .optional()
  .describe('Validating admission webhook for the cluster; left out: off.');
