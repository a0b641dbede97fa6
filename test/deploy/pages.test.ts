/** The component of the pages on the embedded overlay: off without it, and no more than it says with it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { gatewaySchema } from '../../daemon/config/schema.ts';
import { deployFolder, type Manifest, objectOf, objectsIn, rendered, skip } from './manifests.ts';

const isOfPages = ({ metadata }: Manifest): boolean => metadata.name.endsWith('-pages');

t.test('the component of the pages', { skip }, async (t) => {
  t.same(rendered('embedded').filter(isOfPages), [], 'nothing of it without the component');
  const folder = mkdtempSync(path.join(tmpdir(), 'surfaced-pages-overlay-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const from = (name: string) => path.relative(folder, path.join(deployFolder, name));
  writeFileSync(
    path.join(folder, 'kustomization.yaml'),
    `resources: ['${from('overlays/embedded')}']\ncomponents: ['${from('components/pages')}']\n`,
  );
  const objects = objectsIn(execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' }));
  t.same(
    objects
      .filter(isOfPages)
      .map(({ kind }) => kind)
      .toSorted(),
    [...['ClusterRole', 'ClusterRoleBinding', 'NetworkPolicy', 'Service']],
  );
  t.same(objectOf(objects, 'ClusterRole', 'surfaced-gateway-pages').rules, [
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ]);
  const { ports } = objectOf(objects, 'Deployment', 'surfaced-gateway').spec.template.spec.containers[0];
  const port = (ports as { name: string; containerPort: number }[]).find(({ name }) => name === 'pages');
  const { listen } = gatewaySchema.shape.pages.unwrap().parse({ login: { tokens: {} } });
  t.equal(`0.0.0.0:${port?.containerPort}`, listen);
  t.ok((ports as unknown[]).length > 1, 'the other ports are still there');
  t.match(objectOf(objects, 'Service', 'surfaced-pages').spec.ports, [{ port: 443, targetPort: 'pages' }]);
  t.match(objectOf(objects, 'NetworkPolicy', 'surfaced-pages').spec.ingress, [
    { ports: [{ port: 'pages' }] },
  ]);
});
