/**
 * A part: an API server that has nothing but Deployments and very many Pods, which it makes up while it sends them
 * from one that was recorded. It lists, with pages, and keeps watches open.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { makeCertificates, writeKubeconfig } from '../../hil/sim/cluster/certificates.ts';
import { loadRecording } from '../../hil/sim/replay/recording.ts';
import { serve } from '../processes.ts';

export interface ListServerOptions {
  readonly folder: string;
  readonly deployments: number;
  /** In all, spread evenly. */
  readonly pods: number;
}

const recording = path.join('test', 'fixtures', 'kube', '02-deployment-create-and-scale.json');
const resourceVersion = '1000000';
const podsAWrite = 250;

let openPodWatches = 0;

/** A ready Pod of the recording, as text between the places where Pods differ. */
async function podTemplate(): Promise<(index: number, app: string) => string> {
  const { exchanges } = await loadRecording(recording);
  const events = exchanges.flatMap(({ response }) => response.stream ?? []);
  const pods = events
    .map(({ event }) => event.object as Record<string, Record<string, unknown>>)
    .filter(({ kind, metadata }) => String(kind) === 'Pod' && metadata?.deletionTimestamp === undefined);
  const text = pods.map((pod) => JSON.stringify(pod)).reduce((a, b) => (b.length > a.length ? b : a), '');
  if (text === '') throw new Error(`no Pod in ${recording}`);
  const pod = JSON.parse(text) as { metadata: { name: string; uid: string; labels: { app: string } } };
  const { name, uid, labels } = pod.metadata;
  return (index, app) => {
    const suffix = index.toString(36).padStart(5, '0');
    return text
      .replaceAll(name, `${app}-759cd74648-${suffix}`)
      .replaceAll(`"${labels.app}`, `"${app}`)
      .replaceAll(uid, `${uid.slice(0, 24)}${index.toString(16).padStart(12, '0')}`)
      .replace(/"resourceVersion":"\d+"/, `"resourceVersion":"${500_000 + index}"`);
  };
}

const appOf = (index: number): string => `web-${index}`;

function deployment(index: number, replicas: number): object {
  const app = appOf(index);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: app, namespace: 'bench', uid: `deployment-${index}`, resourceVersion, generation: 1 },
    spec: { replicas, selector: { matchLabels: { app } } },
    status: { observedGeneration: 1, replicas, readyReplicas: replicas, updatedReplicas: replicas },
  };
}

const resources = {
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion: 'apps/v1',
  resources: [
    { name: 'deployments', kind: 'Deployment', namespaced: true, verbs: ['get', 'list', 'watch'] },
    { name: 'deployments/scale', kind: 'Scale', namespaced: true, verbs: ['get', 'update'] },
  ],
};

async function start({ folder, deployments, pods }: ListServerOptions): Promise<string> {
  const podText = await podTemplate();
  const podsEach = pods / deployments;

  const sendPods = async (query: URLSearchParams, response: ServerResponse): Promise<void> => {
    const app = /^app=web-(\d+)$/.exec(query.get('labelSelector') ?? '')?.[1];
    const first = app === undefined ? 0 : Number(app) * podsEach;
    const last = app === undefined ? pods : first + podsEach;
    const from = first + Number(query.get('continue') ?? 0);
    const to = Math.min(last, from + Number(query.get('limit') ?? last));
    const next = to < last ? { continue: String(to - first) } : {};
    response.write(
      `{"kind":"PodList","apiVersion":"v1","metadata":${JSON.stringify({ resourceVersion, ...next })},"items":[`,
    );
    for (let at = from; at < to; at += podsAWrite) {
      const texts = [];
      for (let index = at; index < Math.min(to, at + podsAWrite); index++)
        texts.push(podText(index, appOf(Math.floor(index / podsEach))));
      const isOpen = response.write((at === from ? '' : ',') + texts.join(','));
      if (!isOpen) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end(']}');
  };
  const sendDeployments = (query: URLSearchParams, response: ServerResponse): void => {
    const index = Number(/^metadata\.name=web-(\d+)$/.exec(query.get('fieldSelector') ?? '')?.[1]);
    const items = [deployment(index, podsEach)];
    response.end(
      JSON.stringify({ kind: 'DeploymentList', apiVersion: 'apps/v1', metadata: { resourceVersion }, items }),
    );
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'https://server');
    response.setHeader('content-type', 'application/json');
    if (['1', 'true'].includes(searchParams.get('watch') ?? '')) {
      if (pathname.endsWith('/pods')) openPodWatches++;
      response.flushHeaders();
    } else if (pathname.endsWith('/pods')) await sendPods(searchParams, response);
    else if (pathname.endsWith('/deployments')) sendDeployments(searchParams, response);
    else if (pathname.endsWith('/horizontalpodautoscalers'))
      response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion }, items: [] }));
    else if (pathname === '/apis/apps/v1') response.end(JSON.stringify(resources));
    else if (pathname === '/readyz') response.end('ok');
    else response.writeHead(404).end('{"kind":"Status","code":404,"reason":"NotFound"}');
  };

  const certificates = await makeCertificates(Date.now());
  const { server: own, ca } = certificates;
  const server = createServer(
    { ...own, ca, requestCert: true },
    (request, response) => void answer(request, response),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return writeKubeconfig(folder, url, certificates);
}

serve({
  start,
  openPodWatches: () => openPodWatches,
  podBytes: async () => (await podTemplate())(0, appOf(0)).length,
});
