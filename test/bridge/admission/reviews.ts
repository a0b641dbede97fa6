/** Reviews as API servers send them (kubernetes/api: admission/v1, core/v1, certificates/v1), with what a case needs changed. */
import { webcrypto } from 'node:crypto';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { readRequestSubject } from '../../../daemon/attest/certificates/request.ts';
import type { TrustState } from '../../../daemon/attest/trust/types.ts';
import type { ImageList } from '../../../daemon/bridge/admission/image-list.ts';
import { createJudge, type JudgeParts } from '../../../daemon/bridge/admission/judge.ts';
import { type Admission, createStandings } from '../../../daemon/bridge/admission/nodes.ts';
import { parseConfig } from '../../../daemon/config/load.ts';
import { silentLog } from '../../../daemon/log.ts';

export const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
export const good = `registry.example.com/shop/cart@${digest('a')}`;

/** A whole Gateway file's `admission`, defaults filled in. */
export function admissionOf(fields: Readonly<Record<string, unknown>>): Admission {
  const head = { apiVersion: 'surfaced.dev/v1alpha1', kind: 'Gateway', site: 'home', stateDir: 'state' };
  const listeners = { enrol: { listen: '127.0.0.1:0' }, broker: { listen: '127.0.0.1:0' } };
  const file = { ...head, ...listeners, registry: { folder: 'surfaces' }, admission: fields };
  return parseConfig('Gateway', JSON.stringify(file), 'gateway.yaml').admission!;
}

export interface Ask {
  readonly resource: string;
  readonly group?: string;
  readonly subResource?: string;
  readonly operation?: string;
  readonly namespace?: string;
  readonly username?: string;
  readonly object: unknown;
  readonly oldObject?: unknown;
  readonly dryRun?: boolean;
}

export const uid = '705ab4f5-6393-11e8-b7cc-42010a800002';
const kinds: Readonly<Record<string, string>> = { pods: 'Pod', bindings: 'Binding' };

export function review(ask: Ask): Record<string, unknown> {
  const { resource, group = '', subResource, operation = 'CREATE', namespace, object } = ask;
  const kind = subResource === 'binding' ? 'Binding' : (kinds[resource] ?? 'CertificateSigningRequest');
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid,
      kind: { group, version: 'v1', kind },
      resource: { group, version: 'v1', resource },
      ...(subResource && { subResource }),
      requestKind: { group, version: 'v1', kind },
      requestResource: { group, version: 'v1', resource },
      ...(subResource && { requestSubResource: subResource }),
      name: 'it',
      ...(namespace !== undefined && { namespace }),
      operation,
      userInfo: {
        username: ask.username ?? 'system:kube-scheduler',
        groups: ['system:authenticated'],
        extra: { 'authentication.kubernetes.io/credential-id': ['X509SHA256=00'] },
      },
      object,
      oldObject: ask.oldObject ?? null,
      dryRun: ask.dryRun ?? false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'kubectl' },
    },
  };
}

export const container = (image: string, name = 'web') => ({
  name,
  image,
  resources: {},
  terminationMessagePath: '/dev/termination-log',
  imagePullPolicy: 'IfNotPresent',
});

export const pod = (
  spec: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, unknown>> = {},
) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'it',
    namespace: 'shop',
    uid: 'b',
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...metadata,
  },
  spec: {
    containers: [container(good)],
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    ...spec,
  },
  status: { phase: 'Pending', qosClass: 'BestEffort' },
});

export const binding = (node: unknown) => ({
  apiVersion: 'v1',
  kind: 'Binding',
  metadata: { name: 'it', namespace: 'shop', creationTimestamp: null },
  target: { kind: 'Node', name: node },
});

export const clientKubelet = 'kubernetes.io/kube-apiserver-client-kubelet';
export const serving = 'kubernetes.io/kubelet-serving';
export const client = 'kubernetes.io/kube-apiserver-client';

export const csr = (pem: string, signerName: string, more: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: { generateName: 'csr-', name: 'csr-x7k2p', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: {
    request: Buffer.from(pem).toString('base64'),
    signerName,
    usages: ['digital signature', 'client auth'],
    username: 'system:bootstrap:abcdef',
    groups: ['system:bootstrappers', 'system:authenticated'],
  },
  status: {},
  ...more,
});

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const keys = webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

/** A request in PEM with this subject. */
export async function requestPem(name: x509.JsonNameParams): Promise<string> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: new x509.Name(name),
    keys: await keys,
    signingAlgorithm: algorithm,
  });
  return `${request.toString('pem')}\n`;
}
export const nodePem = (node: string): Promise<string> =>
  requestPem([{ O: ['system:nodes'] }, { CN: [`system:node:${node}`] }]);

/** States of surfaces that a test may change at any time. */
export const trustOf = (states: Record<string, TrustState>) => ({
  isTrusted: (surface: string) => states[surface] === 'trusted',
  of: (surface: string) => {
    const state = states[surface];
    if (state === undefined) return null;
    return {
      surface,
      ekSha256: 'e'.repeat(64),
      state,
      level: state === 'trusted' ? (0 as const) : null,
      reason: 'as the test wants it',
      attestedAt: null,
      evidence: null,
      reference: null,
      hasTrustedCertificate: false,
      firmware: null,
    };
  },
});

export const listOf = (...digests: string[]): ImageList => ({
  has: (wanted) => digests.includes(wanted),
  problem: () => null,
});

/** The answer's `response`, or what would be said without one. */
export interface Said {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: { readonly code: number; readonly message: string };
  readonly warnings?: readonly string[];
  readonly auditAnnotations?: Readonly<Record<string, string>>;
}

/** A judge with pi-7 as `desk` and pi-8 as `rack`, and a list for the namespace `shop`. */
export function judgeOf(states: Record<string, TrustState>, parts: Partial<JudgeParts> = {}, all = false) {
  const nodes = [
    { node: 'pi-7', surface: 'desk' },
    { node: 'pi-8', surface: 'rack' },
  ];
  const judge = createJudge({
    standingOf: createStandings({ nodes, attestedNodes: all ? 'all' : 'listed' }, trustOf(states)),
    readSubject: readRequestSubject,
    imageNamespaces: new Set(['shop']),
    images: listOf(digest('a'), digest('b')),
    exemptNamespaces: new Set(['kube-system']),
    log: silentLog,
    ...parts,
  });
  return {
    judge,
    say: (ask: Ask): Said => {
      const judged = judge(review(ask));
      if (judged.answer === null) throw new Error(`no answer: ${judged.problem}`);
      return judged.answer.response;
    },
  };
}
