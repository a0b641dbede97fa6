/**
 * The ValidatingWebhookConfiguration (kubernetes/api, admissionregistration/v1/types.go): what the API server sends, and
 * nothing beyond. It names the nodes and namespaces of the config, so that a gateway that is away holds up no others.
 *
 * Nothing of Nodes and Leases is registered: heartbeats never come here.
 */
import { judgedSigners } from './certificates.ts';
import { concernsNodes, fixedPort, serviceOf } from './faults.ts';
import type { Admission } from './nodes.ts';

/** Path that the API server posts to. */
export const admissionPath = '/admit';
/** What the API server waits for an answer, seconds; the API allows 30. */
export const timeoutSeconds = 5;
/** Label that the API server itself puts on every namespace, and that nobody can change. */
const namespaceLabel = 'kubernetes.io/metadata.name';
/** The parser of expressions stops at 100,000 characters (cel-go, parser/options.go). */
const mostExpressionCharacters = 50_000;

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly operations: readonly string[];
  readonly scope: 'Cluster' | 'Namespaced';
}
interface Part {
  readonly name: string;
  readonly rules: readonly Rule[];
  /** Null: not by namespace. */
  readonly namespaces: { readonly operator: 'In' | 'NotIn'; readonly values: readonly string[] } | null;
  readonly condition: { readonly name: string; readonly expression: string };
}

const pods = (resources: readonly string[], operations: readonly string[]): Rule => ({
  apiGroups: [''],
  resources,
  operations,
  scope: 'Namespaced',
});

/**
 * The object for `kubectl apply`.
 * @param options.admission as `checkAdmission` lets it pass
 * @param options.caPem certificate of the gateway's CA
 * @throws SurfacedError E_ADMISSION when it cannot be reached at a fixed address
 */
export function admissionRegistration(options: {
  readonly admission: Admission;
  readonly site: string;
  readonly caPem: string;
}) {
  const { admission, site, caPem } = options;
  const service = serviceOf(admission);
  const clientConfig = {
    ...(service === null
      ? { url: urlOf(admission) }
      : { service: { ...service, path: admissionPath, port: 443 } }),
    caBundle: Buffer.from(caPem).toString('base64'),
  };
  const parts = [
    ...(concernsNodes(admission) ? [certificates, placement(admission)] : []),
    ...(admission.imageNamespaces.length > 0 ? [images(admission)] : []),
  ];
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: {
      name: `surfaced-admission-${site}`,
      labels: { 'app.kubernetes.io/name': 'surfaced', 'app.kubernetes.io/component': 'admission' },
    },
    webhooks: parts.map(({ name, rules, namespaces, condition }) => ({
      name: `${name}.admission.surfaced.dev`,
      clientConfig,
      rules: rules.map((rule) => ({ ...rule, apiVersions: ['v1'] })),
      ...(namespaces && {
        namespaceSelector: { matchExpressions: [{ key: namespaceLabel, ...namespaces }] },
      }),
      matchConditions: [condition],
      matchPolicy: 'Equivalent',
      failurePolicy: 'Fail',
      sideEffects: 'None',
      timeoutSeconds,
      admissionReviewVersions: ['v1'],
    })),
  };
}

function urlOf({ hosts, listen }: Admission): string {
  const host = hosts[0] ?? '';
  return `https://${host.includes(':') ? `[${host}]` : host}:${fixedPort({ listen })}${admissionPath}`;
}

const certificates: Part = {
  name: 'certificates',
  rules: [
    {
      apiGroups: ['certificates.k8s.io'],
      resources: ['certificatesigningrequests'],
      operations: ['CREATE'],
      scope: 'Cluster',
    },
    {
      apiGroups: ['certificates.k8s.io'],
      resources: ['certificatesigningrequests/approval'],
      operations: ['UPDATE'],
      scope: 'Cluster',
    },
  ],
  namespaces: null,
  condition: {
    name: 'signer-of-nodes',
    expression: `object.spec.signerName in ${JSON.stringify(judgedSigners)}`,
  },
};

function placement({ nodes, attestedNodes, exemptNamespaces }: Admission): Part {
  const node =
    '(request.kind.kind == "Binding" ? object.target.name : has(object.spec.nodeName) ? object.spec.nodeName : "")';
  const listed = JSON.stringify(nodes.map(({ node }) => node));
  const isListed = attestedNodes === 'listed' && listed.length <= mostExpressionCharacters;
  return {
    name: 'placement',
    rules: [pods(['pods', 'pods/binding', 'bindings'], ['CREATE'])],
    // The API takes no empty list.
    namespaces: exemptNamespaces.length === 0 ? null : { operator: 'NotIn', values: exemptNamespaces },
    condition: {
      name: 'node-that-needs-attestation',
      expression: isListed ? `${node} in ${listed}` : `${node} != ""`,
    },
  };
}

const images = ({ imageNamespaces }: Admission): Part => ({
  name: 'images',
  rules: [pods(['pods'], ['CREATE', 'UPDATE']), pods(['pods/ephemeralcontainers'], ['UPDATE'])],
  namespaces: { operator: 'In', values: imageNamespaces },
  // Labels and finalizers change often, and must change even while the gateway is away.
  condition: {
    name: 'new-or-other-spec',
    expression: 'request.operation == "CREATE" || object.spec != oldObject.spec',
  },
});
