import { execFile, execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { parse } from 'yaml';
import { z } from 'zod';
import { checkAdmission } from '../../../daemon/bridge/admission/faults.ts';
import { admissionRegistration } from '../../../daemon/bridge/admission/registration.ts';
import { admissionManifest } from '../../../daemon/commands/admission-manifest.ts';
import { admissionOf, judgeOf } from './reviews.ts';

const nodes = [{ node: 'pi-7', surface: 'desk' }];
const whole = { nodes, imageNamespaces: ['shop'], images: '/images.txt' };
const register = (fields: Readonly<Record<string, unknown>>) => {
  const admission = admissionOf(fields);
  checkAdmission(admission);
  return admissionRegistration({ admission, site: 'home', caPem: 'the CA' });
};

t.test('what is registered is what is judged, and no more', async (t) => {
  const { webhooks, metadata } = register(whole);
  t.equal(metadata.name, 'surfaced-admission-home');
  t.same(
    webhooks.map(({ name }) => name),
    ['certificates', 'placement', 'images'].map((name) => `${name}.admission.surfaced.dev`),
  );
  for (const webhook of webhooks) {
    t.match(webhook, {
      failurePolicy: 'Fail',
      sideEffects: 'None',
      timeoutSeconds: 5,
      admissionReviewVersions: ['v1'],
      clientConfig: {
        service: { name: 'surfaced-admission', namespace: 'surfaced', path: '/admit', port: 443 },
        caBundle: Buffer.from('the CA').toString('base64'),
      },
    });
    t.equal(webhook.matchConditions.length, 1);
  }
  // Each rule leads to one of judge.ts: refused for what it holds, never as unknown.
  const { say } = judgeOf({});
  for (const { rules } of webhooks)
    for (const { apiGroups, apiVersions, resources, operations } of rules) {
      t.same(apiVersions, ['v1']);
      for (const path of resources)
        for (const operation of operations) {
          const [resource = '', subResource = ''] = path.split('/');
          const said = say({
            group: apiGroups[0] ?? '',
            resource,
            subResource,
            operation,
            namespace: 'shop',
            object: null,
          });
          t.match(said, { allowed: false, status: { message: /cannot be read/ } }, `${path} ${operation}`);
          t.notMatch(resource, /nodes|leases|\*/, 'heartbeats never come');
        }
    }
  t.match(webhooks[1]?.namespaceSelector, {
    matchExpressions: [
      { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system', 'surfaced'] },
    ],
  });
  t.match(webhooks[2]?.namespaceSelector, {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['shop'] }],
  });
});

t.test('only what the config asks for', async (t) => {
  const namesOf = (fields: Readonly<Record<string, unknown>>) =>
    register(fields).webhooks.map(({ name }) => name.split('.')[0]);
  t.same(namesOf({ nodes }), ['certificates', 'placement']);
  t.same(namesOf({ imageNamespaces: ['shop'], images: 'x' }), ['images']);
  const conditionOf = (fields: Readonly<Record<string, unknown>>) =>
    register(fields).webhooks[1]?.matchConditions[0]?.expression ?? '';
  t.match(conditionOf({ nodes }), / in \["pi-7"\]$/, 'other nodes go on while the gateway is away');
  t.match(conditionOf({ nodes, attestedNodes: 'all' }), / != ""$/);
  const many = Array.from({ length: 4000 }, (_, at) => ({
    node: `node-${at}.example.com`,
    surface: `s${at}`,
  }));
  t.match(conditionOf({ nodes: many }), / != ""$/, 'too many for an expression');
  t.match(register({ nodes, hosts: ['10.0.0.5'], listen: '0.0.0.0:9443' }).webhooks[0]?.clientConfig, {
    url: 'https://10.0.0.5:9443/admit',
  });
  t.match(register({ nodes, hosts: ['fd00::5'], listen: '[::]:9443' }).webhooks[0]?.clientConfig, {
    url: 'https://[fd00::5]:9443/admit',
  });
  const outside = register({ nodes, hosts: ['10.0.0.5'], exemptNamespaces: [] });
  t.notOk('namespaceSelector' in (outside.webhooks[1] ?? {}), 'a list without values is none');
  t.throws(() => register({ nodes, hosts: ['10.0.0.5'], listen: '0.0.0.0:0' }), { code: 'E_ADMISSION' });
});

t.test('faults of the config', async (t) => {
  const faults: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
    [{}, /nothing would ever be refused/],
    [{ attestedNodes: 'all' }, /admission.nodes: none is given/],
    [{ nodes: [...nodes, { node: 'pi-7', surface: 'rack' }] }, /"pi-7" is given twice/],
    [{ nodes: [...nodes, { node: 'pi-8', surface: 'desk' }] }, /surface "desk" is given for two nodes/],
    [{ nodes: [{ node: 'Pi_7"]', surface: 'desk' }] }, /is no name that a Node can have/],
    [{ imageNamespaces: ['shop'] }, /admission.images: missing/],
    [{ nodes, images: 'x' }, /admission.imageNamespaces: missing/],
    [{ imageNamespaces: ['Shop'], images: 'x' }, /imageNamespaces: "Shop" is no name/],
    [{ nodes, exemptNamespaces: ['surfaced', 'kube.system'] }, /exemptNamespaces: "kube.system" is no name/],
    [{ ...whole, exemptNamespaces: ['shop', 'surfaced'] }, /"shop" is in `exemptNamespaces`/],
    [{ nodes, exemptNamespaces: ['kube-system'] }, /"surfaced", where the gateway itself runs, is missing/],
  ];
  for (const [fields, message] of faults)
    t.throws(() => checkAdmission(admissionOf(fields)), { code: 'E_ADMISSION', message });
  t.throws(() => checkAdmission(admissionOf({ imageNamespaces: ['A', 'B'] })), {
    message: /"A" is no name.*\n.*"B" is no name.*\n.*images: missing/,
  });
  checkAdmission(admissionOf(whole));
});

/** Fields of admissionregistration.k8s.io/v1 with their types; another one is a fault. */
const selector = z.strictObject({
  matchExpressions: z.array(
    z.strictObject({
      key: z.string(),
      operator: z.enum(['In', 'NotIn']),
      values: z.array(z.string()).min(1),
    }),
  ),
});
const configuration = z.strictObject({
  apiVersion: z.literal('admissionregistration.k8s.io/v1'),
  kind: z.literal('ValidatingWebhookConfiguration'),
  metadata: z.strictObject({ name: z.string(), labels: z.record(z.string(), z.string()) }),
  webhooks: z.array(
    z.strictObject({
      name: z.string().regex(/^[a-z]+(\.[a-z]+){2,}$/),
      clientConfig: z.strictObject({
        service: z.strictObject({ name: z.string(), namespace: z.string(), path: z.string(), port: z.int() }),
        caBundle: z.base64(),
      }),
      rules: z.array(
        z.strictObject({
          apiGroups: z.array(z.string()).min(1),
          apiVersions: z.array(z.string()).min(1),
          resources: z.array(z.string()).min(1),
          operations: z.array(z.enum(['CREATE', 'UPDATE'])).min(1),
          scope: z.enum(['Cluster', 'Namespaced']),
        }),
      ),
      namespaceSelector: selector.optional(),
      matchConditions: z.array(z.strictObject({ name: z.string(), expression: z.string() })).max(64),
      matchPolicy: z.literal('Equivalent'),
      failurePolicy: z.literal('Fail'),
      sideEffects: z.literal('None'),
      timeoutSeconds: z.int().min(1).max(5),
      admissionReviewVersions: z.tuple([z.literal('v1')]),
    }),
  ),
});

function withoutKubectl(): string | false {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs kubectl';
  }
}

const gateway = (admission: string) => `apiVersion: surfaced.dev/v1alpha1
kind: Gateway
site: home
stateDir: state
enrol: { listen: '127.0.0.1:0' }
broker: { listen: '127.0.0.1:0' }
registry: { folder: surfaces }
${admission}`;

t.test('the printed manifest', async (t) => {
  const folder = t.testdir({
    'gateway.yaml': gateway(`admission: ${JSON.stringify(whole)}\n`),
    'without.yaml': gateway(''),
  });
  const text = await admissionManifest(path.join(folder, 'gateway.yaml'), 'text');
  const printed = configuration.parse(parse(text));
  t.same(JSON.parse(await admissionManifest(path.join(folder, 'gateway.yaml'), 'json')), printed);
  const ca = Buffer.from(printed.webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString();
  t.match(ca, /^-----BEGIN CERTIFICATE-----\n/);
  t.notMatch(ca, /PRIVATE/);
  await t.rejects(admissionManifest(path.join(folder, 'without.yaml'), 'text'), { code: 'E_ADMISSION' });

  await t.test('kubectl reads it into its own type', { skip: withoutKubectl() }, async (t) => {
    // Of what kubectl does without a server, only `set` decodes into Go types; it then says that this is no Pod.
    const read = async (manifest: string): Promise<string> => {
      const file = path.join(folder, 'manifest.yaml');
      await writeFile(file, manifest);
      const env = { ...process.env, KUBECONFIG: '/dev/null' };
      const failed: unknown = await promisify(execFile)(
        'kubectl',
        ['set', 'image', '--local', '-f', file, 'a=b'],
        { env },
      ).catch((error: unknown) => error);
      return (failed as { stderr?: string }).stderr ?? '';
    };
    t.match(await read(text), /does not have a pod template: \*v1.ValidatingWebhookConfiguration/);
    t.match(await read(text.replace('timeoutSeconds: 5', 'timeoutSeconds: five')), /cannot unmarshal/);
  });
});
