/** The endpoint in a whole gateway: on with `admission`, off without, and with the trust of that gateway. */
import { readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import path from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '../../../daemon/clock.ts';
import { loadConfig } from '../../../daemon/config/load.ts';
import { startGateway } from '../../../daemon/gateway.ts';
import { silentLog } from '../../../daemon/log.ts';
import { nobodysKubeconfig as kubeconfig } from '../../nobodys-cluster.ts';
import { clientKubelet, csr, nodePem, review } from './reviews.ts';

const desk = `apiVersion: surfaced.dev/v1alpha1
kind: ControlSurface
metadata: { name: desk }
spec: { tpm: { ekSha256: '${'e'.repeat(64)}' } }
`;

function newSite(t: Test, admission: string): string {
  return t.testdir({
    kubeconfig,
    surfaces: { 'desk.yaml': desk },
    'images.txt': '',
    'gateway.yaml': `apiVersion: surfaced.dev/v1alpha1
kind: Gateway
site: home
stateDir: state
enrol: { listen: '127.0.0.1:0' }
broker: { listen: '127.0.0.1:0' }
registry: { folder: surfaces }
cluster: { kubeconfig: kubeconfig }
${admission}`,
  });
}

async function start(t: Test, folder: string) {
  const config = await loadConfig('Gateway', path.join(folder, 'gateway.yaml'));
  const gateway = await startGateway({ config, clock: systemClock, random: Math.random, log: silentLog });
  t.teardown(() => gateway.stop());
  return gateway;
}

t.test('a gateway with an admission endpoint', async (t) => {
  const folder = newSite(
    t,
    `admission:
  listen: '127.0.0.1:0'
  nodes: [{ node: pi-7, surface: desk }]
  imageNamespaces: [shop]
  images: images.txt
`,
  );
  const gateway = await start(t, folder);
  t.match(gateway.health().parts.admission, { ok: true, detail: /1 nodes, 0 images/ });
  const ca = await readFile(path.join(folder, 'state', 'ca.pem'), 'utf8');
  const agent = new Agent({ ca, servername: 'surfaced-admission.surfaced.svc' });
  const object = csr(await nodePem('pi-7'), clientKubelet);
  const body = review({ group: 'certificates.k8s.io', resource: 'certificatesigningrequests', object });
  const answer = await new Promise<string>((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const to = { host: '127.0.0.1', port: gateway.admissionPort ?? 0, path: '/admit', method: 'POST' };
    const sent = request({ ...to, agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    sent.on('error', reject).end(JSON.stringify(body));
  });
  agent.destroy();
  t.match(JSON.parse(answer), {
    response: { allowed: false, status: { message: /"desk" is not trusted now \(pending\)/ } },
  });
  await rm(path.join(folder, 'images.txt'));
  while (gateway.health().parts.admission?.ok) await new Promise((resolve) => setTimeout(resolve, 20));
  t.match(gateway.health().parts.admission, { ok: false, detail: /images.txt/ });
});

t.test('without `admission` there is none; with a fault in it the gateway does not start', async (t) => {
  const gateway = await start(t, newSite(t, ''));
  t.equal(gateway.admissionPort, null);
  t.equal(gateway.health().parts.admission, undefined);
  await gateway.stop();
  const config = await loadConfig('Gateway', path.join(newSite(t, 'admission: {}\n'), 'gateway.yaml'));
  await t.rejects(startGateway({ config, clock: systemClock, random: Math.random, log: silentLog }), {
    code: 'E_ADMISSION',
  });
});
