/** The gateway's memory with very many watched Pods, beside the informer of client-node with the same. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { apiVersion } from '../daemon/config/schema.ts';
import type { MemoryUse } from './memory.ts';
import type { ListServerOptions } from './parts/list-server.ts';
import { Part } from './processes.ts';
import { binding, namespace } from './stack.ts';
import { compare } from './statistics.ts';
import type { Bench, BenchContext, Findings, Row } from './types.ts';

const sizes = { full: [100, 1000, 10_000], quick: [100, 1000] };
const podsEach = 100;
/** Slots of one surface. */
const bindingsEach = 64;
const rounds = { full: 3, quick: 1 };
const aim = { ratioAtMost: 0.25 };

interface Size {
  readonly deployments: number;
  readonly pods: number;
}

/** An API server of this size, and a process that watches all of it; ended together. */
async function measure(
  folder: string,
  size: Size,
  watcher: (server: Part, kubeconfigPath: string) => Promise<{ part: Part; watches: number }>,
): Promise<MemoryUse> {
  await mkdir(folder, { recursive: true });
  const server = new Part('list-server');
  let part: Part | null = null;
  try {
    const options: ListServerOptions = { folder, ...size };
    const kubeconfigPath = await server.call<string>('start', options);
    const started = await watcher(server, kubeconfigPath);
    part = started.part;
    const { watches } = started;
    // A watch is opened when its list has been read.
    while ((await server.call<number>('openPodWatches')) < watches)
      await new Promise((resolve) => setTimeout(resolve, 50));
    return await part.call<MemoryUse>('memory');
  } finally {
    await part?.end();
    await server.end();
  }
}

function gatewayMemory(folder: string, size: Size): Promise<MemoryUse> {
  return measure(folder, size, async (_server, kubeconfigPath) => {
    const surfaces = path.join(folder, 'surfaces');
    await mkdir(surfaces);
    const bindings = Array.from({ length: size.deployments }, (_, index) =>
      binding(`control${index}`, `web-${index}`, 500),
    );
    for (let from = 0; from < bindings.length; from += bindingsEach) {
      const spec = { bindings: bindings.slice(from, from + bindingsEach) };
      const text = stringify({
        apiVersion,
        kind: 'ControlSurface',
        metadata: { name: `desk${from}` },
        spec,
      });
      await writeFile(path.join(surfaces, `desk${from}.yaml`), text);
    }
    const part = new Part('gateway-memory', ['--expose-gc']);
    const configText = stringify({
      apiVersion,
      kind: 'Gateway',
      stateDir: path.join(folder, 'state'),
      enrol: { listen: '127.0.0.1:0' },
      broker: { listen: '127.0.0.1:0' },
      registry: { folder: surfaces },
      policy: { identity: 'token' },
      cluster: { kubeconfig: kubeconfigPath },
    });
    await part.call('start', { configText });
    return { part, watches: size.deployments };
  });
}

function informerMemory(folder: string, size: Size): Promise<MemoryUse> {
  return measure(folder, size, async (_server, kubeconfigPath) => {
    const part = new Part('informer-memory', ['--expose-gc']);
    await part.call('start', { kubeconfigPath, namespace });
    const known = await part.call<number>('pods');
    if (known !== size.pods) throw new Error(`the informer knows ${known} of ${size.pods} Pods`);
    return { part, watches: 1 };
  });
}

/** What the Pods take: the same process with the same targets, less the same with one Pod a target. */
const growth = (full: MemoryUse, base: MemoryUse): MemoryUse => ({
  heapMib: full.heapMib - base.heapMib,
  residentMib: full.residentMib - base.residentMib,
});

async function run(context: BenchContext): Promise<Findings> {
  let runs = 0;
  const fresh = (): string => path.join(context.folder, `run${runs++}`);
  const rows: Row[] = [];
  const details: Record<string, unknown> = {};
  const chosen = context.isQuick ? sizes.quick : sizes.full;
  for (const pods of chosen) {
    const full = { deployments: pods / podsEach, pods };
    // One each, so that the code that reads Pods has been compiled there too.
    const base = { deployments: full.deployments, pods: full.deployments };
    const ours: MemoryUse[] = [];
    const theirs: MemoryUse[] = [];
    const absolute: { ours: MemoryUse; theirs: MemoryUse }[] = [];
    for (let round = 0; round < (context.isQuick ? rounds.quick : rounds.full); round++) {
      // Side by side: memory does not depend on who else computes.
      const [gatewayBase, informerBase] = await Promise.all([
        gatewayMemory(fresh(), base),
        informerMemory(fresh(), base),
      ]);
      const [gateway, informer] = await Promise.all([
        gatewayMemory(fresh(), full),
        informerMemory(fresh(), full),
      ]);
      ours.push(growth(gateway, gatewayBase));
      theirs.push(growth(informer, informerBase));
      absolute.push({ ours: gateway, theirs: informer });
    }
    details[`pods${pods}`] = { growth: { ours, theirs }, absolute };
    const common = { unit: 'MiB', peer: "client-node's informer" };
    const row = (what: string, pick: (use: MemoryUse) => number): Row => ({
      what,
      ...common,
      ...compare(ours.map(pick), theirs.map(pick)),
      aim,
    });
    rows.push(
      row(
        `gateway, ${pods.toLocaleString('en')} watched Pods: heap that they take`,
        ({ heapMib }) => heapMib,
      ),
    );
    if (pods !== chosen.at(-1)) continue;
    // Of fewer Pods, resident memory shows nothing but the whims of the allocator.
    rows.push(row('the same: resident memory that they take', ({ residentMib }) => residentMib));
    const resident = (side: 'ours' | 'theirs') => absolute.map((each) => each[side].residentMib);
    rows.push({
      what: 'the same: resident memory of the whole process',
      ...common,
      ...compare(resident('ours'), resident('theirs')),
      aim: null,
    });
  }
  return { rows, details };
}

export const watchMemory: Bench = {
  name: 'watch-memory',
  title: 'Memory for watched Pods',
  needs: [],
  run,
};
