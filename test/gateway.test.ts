import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { createTokenCredentials } from '../daemon/attest/enrol/client.ts';
import { systemClock } from '../daemon/clock.ts';
import { parseConfig } from '../daemon/config/load.ts';
import { type Gateway, startGateway } from '../daemon/gateway.ts';
import { silentLog } from '../daemon/log.ts';
import { RawClient } from './bridge/broker/raw-client.ts';
import { nobodysKubeconfig as kubeconfig } from './nobodys-cluster.ts';

const surface = `apiVersion: surfaced.dev/v1alpha1
kind: ControlSurface
metadata: { name: desk }
spec: {}
`;

async function start(t: Test, folder: string, identity: 'tpm' | 'token'): Promise<Gateway> {
  const text = `apiVersion: surfaced.dev/v1alpha1
kind: Gateway
stateDir: state
enrol: { listen: '127.0.0.1:0' }
broker: { listen: '127.0.0.1:0' }
registry: { folder: surfaces }
policy: { identity: ${identity} }
cluster: { kubeconfig: kubeconfig }
`;
  const config = parseConfig('Gateway', text, path.join(folder, 'gateway.yaml'));
  const gateway = await startGateway({ config, clock: systemClock, random: Math.random, log: silentLog });
  t.teardown(() => gateway.stop());
  return gateway;
}

t.test('a token no longer lets a surface act when the policy has become stricter', async (t) => {
  const folder = t.testdir({ kubeconfig });
  await mkdir(path.join(folder, 'surfaces'));
  await writeFile(path.join(folder, 'surfaces', 'desk.yaml'), surface);

  const lenient = await start(t, folder, 'token');
  const { token } = await lenient.tokens.create({ surface: 'desk', ttlMs: 60_000, uses: 1 });
  const source = createTokenCredentials({
    config: { url: `https://127.0.0.1:${lenient.enrolPort}`, caPin: lenient.caPin },
    token,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  t.teardown(() => source.stop());
  const { caPem, certificatePem, privateKeyPem: keyPem } = await source.current(new AbortController().signal);
  const connect = async (gateway: Gateway): Promise<number | null> => {
    const client = new RawClient(gateway.brokerPort, caPem, { certificatePem, keyPem });
    t.teardown(() => client.end());
    return client.connect({ clientId: 'desk' });
  };
  t.equal(await connect(lenient), 0, 'while tokens are enough');
  await lenient.stop();

  const strict = await start(t, folder, 'tpm');
  t.equal(strict.caPin, lenient.caPin, 'the same CA: TLS takes the certificate as before');
  t.equal(await connect(strict), 5, 'not authorized');
});
