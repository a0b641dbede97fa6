/** What the schema of `admission` cannot say: fields that do not fit each other, and names that can never match. */
import { SurfacedError } from '../../errors.ts';
import { splitListen } from '../../health.ts';
import type { Admission } from './nodes.ts';

/** RFC 1123 subdomain, as Kubernetes names nodes. */
const subdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
/** RFC 1123 label, as Kubernetes names namespaces and Services. */
const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const servicePattern = /^([^.]+)\.([^.]+)\.svc$/;

/** The Service by which the API server reaches the endpoint; null: by an address. */
export function serviceOf({ hosts }: Pick<Admission, 'hosts'>): { name: string; namespace: string } | null {
  const [, name = '', namespace = ''] = servicePattern.exec(hosts[0] ?? '') ?? [];
  return label.test(name) && label.test(namespace) ? { name, namespace } : null;
}

/** Whether any node is kept from anything. */
export const concernsNodes = ({
  nodes,
  attestedNodes,
}: Pick<Admission, 'nodes' | 'attestedNodes'>): boolean => attestedNodes === 'all' || nodes.length > 0;

/** @throws SurfacedError E_ADMISSION with every fault, one a line */
export function checkAdmission(admission: Admission): void {
  const faults = faultsOf(admission);
  if (faults.length === 0) return;
  throw new SurfacedError('E_ADMISSION', faults.map((fault) => `admission.${fault}`).join('\n'));
}

function faultsOf(admission: Admission): string[] {
  const { nodes, attestedNodes, imageNamespaces, images, exemptNamespaces } = admission;
  const faults: string[] = [];
  for (const node of twice(nodes.map(({ node }) => node))) faults.push(`nodes: "${node}" is given twice`);
  for (const surface of twice(nodes.map(({ surface }) => surface)))
    faults.push(`nodes: surface "${surface}" is given for two nodes; one endorsement key is one machine`);
  for (const { node } of nodes)
    if (!subdomain.test(node)) faults.push(`nodes: "${node}" is no name that a Node can have`);
  for (const [field, names] of Object.entries({ imageNamespaces, exemptNamespaces }))
    for (const name of names)
      if (!label.test(name)) faults.push(`${field}: "${name}" is no name that a namespace can have`);
  if (attestedNodes === 'all' && nodes.length === 0)
    faults.push('nodes: none is given, so that `attestedNodes: all` would refuse every node');
  if (imageNamespaces.length > 0 && images === undefined)
    faults.push('images: missing; without it nothing could run in `imageNamespaces`');
  if (imageNamespaces.length === 0 && images !== undefined)
    faults.push('imageNamespaces: missing; without it `images` is not used');
  for (const name of imageNamespaces)
    if (exemptNamespaces.includes(name))
      faults.push(`imageNamespaces: "${name}" is in \`exemptNamespaces\`, too, where nothing is refused`);
  if (!concernsNodes(admission) && imageNamespaces.length === 0)
    faults.push('nodes: neither nodes nor namespaces are given, so that nothing would ever be refused');
  const service = serviceOf(admission);
  if (service !== null && !exemptNamespaces.includes(service.namespace))
    faults.push(
      `exemptNamespaces: "${service.namespace}", where the gateway itself runs, is missing: a gateway that is away would keep itself away`,
    );
  return faults;
}

const twice = (names: readonly string[]): Set<string> =>
  new Set(names.filter((name, index) => names.indexOf(name) !== index));

/** Port for an address in the registration. @throws SurfacedError E_ADMISSION when it is left to chance */
export function fixedPort({ listen }: Pick<Admission, 'listen'>): number {
  const { port } = splitListen(listen);
  if (port !== 0) return port;
  throw new SurfacedError(
    'E_ADMISSION',
    'admission.listen: port 0 is another one at each start; give a fixed one',
  );
}
