import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { type AclRequest, printAcl } from '../../daemon/commands/broker-acl.ts';
import { brokerKinds } from '../../daemon/commands/broker-acl-text.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'sf-acl-'));
t.teardown(() => rm(folder, { recursive: true }));
const gatewayConfigPath = path.join(folder, 'gateway.yaml');
await writeFile(
  gatewayConfigPath,
  `apiVersion: surfaced.dev/v1alpha1
kind: Gateway
site: plant
stateDir: ${folder}/state
registry: { folder: ${folder} }
policy: { identity: token }
`,
);
for (const [name, isRevoked] of [
  ['desk', false],
  ['stolen', true],
] as const)
  await writeFile(
    path.join(folder, `${name}.yaml`),
    `apiVersion: surfaced.dev/v1alpha1
kind: ControlSurface
metadata: { name: ${name} }
spec: { isRevoked: ${isRevoked} }
`,
  );

const request: AclRequest = {
  gatewayConfigPath,
  broker: 'mosquitto',
  gatewayUsers: ['_gw-1'],
  folder: '/etc/b',
  file: null,
};

t.test('every broker gets files that name the site, the gateway and the folder', async (t) => {
  for (const broker of brokerKinds) {
    const text = await printAcl({ ...request, broker });
    t.match(text, /surfaced[/.\\]+v1[/.\\]+plant/, broker);
    t.match(text, /_gw-1/, broker);
    t.notMatch(text, /undefined|\[object/, broker);
  }
});

t.test('brokers without patterns are told of each surface, and not of one that was revoked', async (t) => {
  for (const broker of ['nats', 'rabbitmq'] as const) {
    const text = await printAcl({ ...request, broker });
    t.match(text, /desk/, broker);
    t.match(text, /acl-probe/, broker);
    t.notMatch(text, /stolen/, broker);
  }
});

t.test('one file for a redirection; a name that is none is told', async (t) => {
  t.match(await printAcl({ ...request, file: 'acl' }), /^user _gw-1\n/);
  await t.rejects(printAcl({ ...request, file: 'acls' }), {
    code: 'E_USAGE',
    message: /mosquitto.conf, acl/,
  });
});

t.test('a gateway is nobody that a surface could be', async (t) => {
  await t.rejects(printAcl({ ...request, gatewayUsers: ['gateway'] }), { code: 'E_BROKER_IDENTITY' });
  await t.rejects(printAcl({ ...request, gatewayUsers: ['_gw"\nuser x'] }), { code: 'E_USAGE' });
  await t.rejects(printAcl({ ...request, gatewayUsers: [] }), { code: 'E_USAGE', message: /--gateway-user/ });
});
