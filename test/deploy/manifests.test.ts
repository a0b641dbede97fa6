/** The overlays as kustomize renders them: what is started may do no more than it needs, and the parts fit together. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { loadConfig, parseConfig } from '../../daemon/config/load.ts';
import { gatewaySchema } from '../../daemon/config/schema.ts';
import { containerUser } from '../../image/oci/layout.ts';
import { textOf } from '../structure/source-files.ts';
import { deployFolder, type Manifest, objectOf, objectsOf, overlays, rendered, skip } from './manifests.ts';

interface Container {
  readonly name: string;
  readonly image: string;
  readonly ports: readonly { name: string; containerPort: number }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly resources: Readonly<Record<'requests' | 'limits', Readonly<Record<string, string>>>>;
  readonly volumeMounts: readonly { name: string; mountPath: string }[];
  readonly [field: string]: unknown;
}
const gatewayOf = (objects: readonly Manifest[]): Manifest =>
  objectOf(
    objects,
    objects.some(({ kind }) => kind === 'StatefulSet') ? 'StatefulSet' : 'Deployment',
    'surfaced-gateway',
  );
const containersOf = (deployment: Manifest): Container[] => deployment.spec.template.spec.containers;
const portOf = (listen: string): number => Number(listen.slice(listen.lastIndexOf(':') + 1));
const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => path.join('deploy', path.relative(deployFolder, folder), name));

for (const overlay of overlays) {
  t.test(`overlay ${overlay}`, { skip }, async (t) => {
    const objects = rendered(overlay);
    const deployment = gatewayOf(objects);
    const pod = deployment.spec.template.spec;
    const [container, ...more] = containersOf(deployment);
    if (!container) throw new Error('The gateway has no container.');

    await t.test(
      'every object is in its namespace, which lets in nothing that is not restricted',
      async (t) => {
        const ofCluster = /^(?:Namespace|CustomResourceDefinition|Cluster.*|Validating.*)$/;
        for (const { kind, metadata } of objects)
          t.equal(
            metadata.namespace,
            ofCluster.test(kind) ? undefined : 'surfaced',
            `${kind} ${metadata.name}`,
          );
        const { labels } = objectOf(objects, 'Namespace', 'surfaced').metadata;
        t.equal(labels?.['pod-security.kubernetes.io/enforce'], 'restricted');
      },
    );

    await t.test('the Pod is as restricted as it gets', async (t) => {
      t.same(more, [], 'one container');
      t.match(pod.securityContext, {
        runAsNonRoot: true,
        runAsUser: containerUser,
        runAsGroup: containerUser,
        fsGroup: containerUser,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      t.same(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        privileged: false,
        capabilities: { drop: ['ALL'] },
      });
      for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) t.equal(pod[field], undefined, field);
      const kinds = new Set(['configMap', 'emptyDir', 'persistentVolumeClaim', 'secret', 'projected']);
      for (const { name, ...source } of pod.volumes as Record<string, unknown>[])
        t.ok(
          Object.keys(source).every((kind) => kinds.has(kind)),
          `volume ${String(name)}`,
        );
      t.ok(container.resources.requests.memory && container.resources.limits.memory);
      t.equal(pod.automountServiceAccountToken, true, 'its own token');
      for (const { metadata, automountServiceAccountToken } of objects.filter(
        ({ kind }) => kind === 'ServiceAccount',
      ))
        t.equal(automountServiceAccountToken, false, `account ${metadata.name}`);
    });

    await t.test('gateway.yaml fits the schema, the ports and the mounts', async (t) => {
      const config = objects.find(({ kind, data }) => kind === 'ConfigMap' && data?.['gateway.yaml']);
      const mounted = pod.volumes.find(({ name }: { name: string }) => name === 'config').configMap.name;
      t.equal(config?.metadata.name, mounted, 'the generated name is the mounted one');
      const folder = mkdtempSync(path.join(tmpdir(), 'surfaced-deploy-'));
      t.teardown(() => rmSync(folder, { recursive: true }));
      for (const [name, text] of Object.entries<string>(config?.data ?? {}))
        writeFileSync(path.join(folder, name), text);
      const gateway = await loadConfig('Gateway', path.join(folder, 'gateway.yaml'));
      const expected: Record<string, number> = {
        enrol: portOf(gateway.enrol.listen),
        health: portOf(gateway.health?.listen ?? ':0'),
        ...(gateway.broker.mode === 'embedded' && { mqtt: portOf(gateway.broker.listen) }),
        ...(gateway.admission && { admission: portOf(gateway.admission.listen) }),
      };
      const ports = Object.fromEntries(
        container.ports.map(({ name, containerPort }) => [name, containerPort]),
      );
      t.same(ports, expected, 'what is listened on is what the container shows');
      t.ok(
        container.volumeMounts.some(({ mountPath }) => gateway.stateDir.startsWith(`${mountPath}/`)),
        'the state is on a volume',
      );
      t.same(gateway.registry, { cluster: { namespace: 'surfaced' } });
      const { admission } = gateway;
      if (admission) t.same(admission.hosts, ['surfaced-admission.surfaced.svc'], 'the name of its Service');
    });

    await t.test('every port that a Service leads to may be reached, and no other', async (t) => {
      const services = objects.filter(({ kind }) => kind === 'Service');
      const served = services.flatMap(({ spec }) => spec.ports.map(({ targetPort }: never) => targetPort));
      const open = objects
        .filter(({ kind }) => kind === 'NetworkPolicy')
        .flatMap(({ spec }) => spec.ingress ?? [])
        .flatMap(({ ports }) => ports.map(({ port }: { port: string }) => port));
      const shown = container.ports.map(({ name }) => name);
      t.same(new Set(open), new Set(served));
      t.same(new Set(served), new Set(shown));
      t.same(objectOf(objects, 'NetworkPolicy', 'surfaced-nothing').spec, {
        podSelector: {},
        policyTypes: ['Ingress', 'Egress'],
      });
      for (const { metadata, spec } of [
        ...services,
        objectOf(objects, 'PodDisruptionBudget', 'surfaced-gateway'),
      ]) {
        const selector = spec.selector.matchLabels ?? spec.selector;
        t.match(deployment.spec.template.metadata.labels, selector, metadata.name);
      }
    });

    await t.test('no secret is in it, and nobody is an administrator', async (t) => {
      t.same(
        objects.filter(({ kind }) => kind === 'Secret'),
        [],
      );
      for (const { kind, metadata, rules = [], roleRef } of objects.filter(({ apiVersion }) =>
        /^rbac/.test(apiVersion),
      )) {
        t.not(roleRef?.name, 'cluster-admin', metadata.name);
        for (const rule of rules as Record<string, string[]>[]) {
          const words = Object.values(rule).flat();
          t.notOk(words.includes('*'), `${kind} ${metadata.name}: nothing stands for everything`);
          t.notOk(
            words.some((word) => /^(?:secrets|impersonate|bind|escalate)$/.test(word)),
            metadata.name,
          );
        }
      }
    });

    await t.test(
      'several gateways have names, states and certificates of their own, and one CA',
      async (t) => {
        if (deployment.kind === 'Deployment') return;
        const config = objects.find(({ kind, data }) => kind === 'ConfigMap' && data?.['gateway.yaml']);
        const gateway = parseConfig('Gateway', config?.data['gateway.yaml'], 'gateway.yaml');
        t.ok(deployment.spec.replicas > 1);
        t.same(container.args, [
          'gateway',
          '--config',
          '/etc/surfaced/gateway.yaml',
          '--name',
          '$(POD_NAME)',
        ]);
        t.match(container.env, [
          { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ]);
        t.equal(deployment.spec.volumeClaimTemplates[0].metadata.name, 'state');
        const mounts = container.volumeMounts as readonly { mountPath: string; subPathExpr?: string }[];
        const named = (file: string | undefined): boolean =>
          mounts.some(({ mountPath }) => file === mountPath || file?.startsWith(`${mountPath}/`));
        t.ok(named(gateway.shards?.ca), 'the CA is mounted');
        const { broker } = gateway;
        if (broker.mode === 'external') {
          for (const file of [broker.ca, broker.certificate, broker.key])
            t.ok(named(file), file ?? 'left out');
          t.equal(mounts.filter(({ subPathExpr }) => subPathExpr?.startsWith('$(POD_NAME).')).length, 2);
          t.equal(objectOf(objects, 'Service', 'surfaced-gateway').spec.sessionAffinity, 'ClientIP');
          const [egress] = objectOf(objects, 'NetworkPolicy', 'surfaced-broker').spec.egress;
          const { port } = new URL(broker.urls[0] ?? '');
          t.same(egress.ports, [{ port: Number(port), protocol: 'TCP' }], 'it may reach the broker');
        } else {
          t.equal(deployment.spec.updateStrategy.type, 'OnDelete', 'the warm one is never ready');
          t.equal(
            objectOf(objects, 'PodDisruptionBudget', 'surfaced-gateway').spec.maxUnavailable,
            deployment.spec.replicas,
          );
        }
        const { rules } = objectOf(objects, 'Role', 'surfaced-gateway');
        const leases = rules.find(({ resources }: { resources: string[] }) => resources.includes('leases'));
        t.same(leases.verbs, ['get', 'list', 'create', 'update', 'delete']);
      },
    );

    await t.test('with a broker of its own there is one gateway at a time', async (t) => {
      if (!/^embedded/.test(overlay) || deployment.kind !== 'Deployment') return;
      t.equal(deployment.spec.replicas, 1);
      t.equal(deployment.spec.strategy.type, 'Recreate');
      t.equal(deployment.spec.strategy.rollingUpdate ?? null, null);
    });
  });
}

t.test('the policy is about the users that the gateway acts as', async (t) => {
  const [policy] = objectsOf('components/scale-policy/policy.yaml');
  const { userPrefix, group } = gatewaySchema.shape.cluster.parse({});
  const condition: string = policy?.spec.matchConditions[0].expression;
  t.ok(condition.includes(`startsWith('${userPrefix}')`), 'cluster.userPrefix');
  t.ok(condition.includes(`'${group}' in`), 'cluster.group');
  for (const file of files(path.join(deployFolder, 'overlays')).filter((name) =>
    name.endsWith('gateway.yaml'),
  )) {
    const { cluster } = parseConfig('Gateway', textOf(file), file);
    t.match(cluster, { userPrefix, group }, `${file} goes by the same`);
  }
});

t.test('the pages name folders and components that are there', async (t) => {
  const page = textOf('docs/deploy.md');
  const named = [...page.matchAll(/deploy\/(?:overlays|components)\/([a-z-]+)/g)].map(([whole]) => whole);
  const there = ['overlays', 'components'].flatMap((kind) =>
    readdirSync(path.join(deployFolder, kind)).map((name) => `deploy/${kind}/${name}`),
  );
  t.same(new Set(named), new Set(there), 'all of them, and no others');
});
