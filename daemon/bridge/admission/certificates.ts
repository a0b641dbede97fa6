/** Certificate requests of nodes (kubernetes/api, certificates/v1/types.go; kubernetes, pkg/apis/certificates/helpers.go). */
import { z } from 'zod';
import type { RequestSubject } from '../../attest/certificates/request.ts';
import type { Standing } from './nodes.ts';
import type { Ruling } from './pods.ts';
import { type AdmissionRequest, readObject, UnreadableError } from './review.ts';

/** What they sign is for nodes alone. */
const nodeSigners: readonly string[] = [
  'kubernetes.io/kube-apiserver-client-kubelet',
  'kubernetes.io/kubelet-serving',
];
/** Signs for any user, so for a node's name, too. */
const clientSigner = 'kubernetes.io/kube-apiserver-client';
/** Signers whose requests can make a node. */
export const judgedSigners: readonly string[] = [clientSigner, ...nodeSigners];

const nodeUser = 'system:node:';
const nodeGroup = 'system:nodes';
const mostRequestCharacters = 64 * 1024;

const requestSchema = z.object({
  spec: z.object({
    signerName: z.string(),
    request: z.string().max(mostRequestCharacters),
    username: z.string().default(''),
  }),
  status: z.object({ conditions: z.array(z.object({ type: z.string() })).nullish() }).nullish(),
});

/** What is known to judge certificate requests. */
export interface CertificateRules {
  standingOf(node: string): Standing;
  /** The subject of a PKCS #10 request in PEM. @throws SurfacedError */
  readSubject(pem: string): RequestSubject;
}

const nothing: Ruling = { refusals: [], standing: null, isMirror: false };
const refuse = (why: string): Ruling => ({ ...nothing, refusals: [why] });

/**
 * A request that is made, or approved: trust may have gone in between.
 * @throws UnreadableError, and what `readSubject` throws
 */
export function judgeCertificate(request: AdmissionRequest, rules: CertificateRules): Ruling {
  const { spec, status } = readObject(requestSchema, request.object, 'certificate request');
  if (!judgedSigners.includes(spec.signerName)) return nothing;
  const isNew = request.operation === 'CREATE';
  const isApproved = (status?.conditions ?? []).some(({ type }) => type === 'Approved');
  if (!isNew && !isApproved) return nothing;

  const { commonName, organizations } = rules.readSubject(pemOf(spec.request));
  const isForNode = commonName.startsWith(nodeUser) || organizations.includes(nodeGroup);
  if (!isForNode && spec.signerName === clientSigner) return nothing;
  if (!commonName.startsWith(nodeUser) || commonName === nodeUser)
    return refuse(`the subject of a certificate for a node must be CN=${nodeUser}NAME`);
  const requester = isNew ? request.userInfo.username : spec.username;
  // A node renews its own certificate; it does not fetch that of another one. Anybody else may be bootstrapping.
  if (requester.startsWith(nodeUser) && requester !== commonName)
    return refuse(`${requester} asks for a certificate of another node, ${commonName}`);
  const standing = rules.standingOf(commonName.slice(nodeUser.length));
  return { ...nothing, standing, refusals: standing.refusal === null ? [] : [standing.refusal] };
}

/** Bytes are base64 in the JSON of the API. */
function pemOf(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64)
    throw new UnreadableError('certificate request.spec.request cannot be read: not base64');
  return bytes.toString('latin1');
}
