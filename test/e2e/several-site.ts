/** Gateways as processes of their own, on one broker and one cluster, with surfaces that count their commands' ends. */
import { webcrypto } from 'node:crypto';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { stringify } from 'yaml';
import { type Authority, loadAuthority } from '../../daemon/attest/authority/ca.ts';
import * as x509 from '../../daemon/attest/authority/x509.ts';
import { createLink, type Link } from '../../daemon/bridge/link/link.ts';
import { systemClock } from '../../daemon/clock.ts';
import { apiVersion } from '../../daemon/config/schema.ts';
import { silentLog } from '../../daemon/log.ts';
import type { Ack, SlotView } from '../../daemon/surface/types.ts';
import { type RealBroker, startRealBroker } from '../bridge/external/brokers.ts';
import { FixedCredentials, type Issued } from '../bridge/pki.ts';
import { binding, type Site, site, surface, surfaces } from '../bridge/registry/rig.ts';
import type { Json } from '../hil/cluster/support.ts';
import { Surfaced } from './processes.ts';

const lifeMs = 3_600_000;

/** Looks every few milliseconds; the test's own time limit ends a wait that is in vain. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await delay(20);
}

async function issue(authority: Authority, name: string): Promise<Issued> {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const { certificatePem } = await authority.issue({
    ...{ surface: name, lifeMs, trust: 'token', level: null, ekSha256: null, evidence: 'test' },
    publicKey: new x509.PublicKey(await webcrypto.subtle.exportKey('spki', keys.publicKey)),
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificatePem, keyPem: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}

/** One panel: what it was shown, and each command's acks. */
export class Desk {
  readonly name: string;
  readonly link: Link;
  readonly acks: Ack[] = [];
  slot: SlotView | null = null;
  bindings = 0;
  #seq = 0;

  constructor(name: string, link: Link) {
    this.name = name;
    this.link = link;
    link.onInput((input) => {
      if (input.type === 'ack') this.acks.push(input.ack);
      else if (input.type === 'slot') this.slot = input.view;
      else if (input.type === 'bindings') this.bindings = input.bindings.length;
    });
  }

  /** Asks for a number and returns how to find what became of it. */
  turn(want: number): number {
    this.#seq += 1;
    this.link.send({ seq: this.#seq, slot: 0, want, saw: this.slot?.desired ?? 0, arm: [] });
    return this.#seq;
  }

  /** Phases and codes of the acks that end a command: one, or something is wrong. */
  ends(seq: number): readonly string[] {
    return this.acks
      .filter((ack) => ack.seq === seq && ack.phase !== 'received' && ack.phase !== 'accepted')
      .map(({ phase, code }) => `${phase} ${code}`.trim());
  }

  has(seq: number, phase: Ack['phase']): boolean {
    return this.acks.some((ack) => ack.seq === seq && ack.phase === phase);
  }
}

export interface Several {
  readonly bed: Site;
  readonly broker: RealBroker | null;
  readonly desks: readonly Desk[];
  /** Starts gateway `gw-<number>` as a process. */
  gateway(number: 1 | 2): Surfaced;
  /** Names of surfaces for which a gateway holds the shard now, by the Leases. */
  holders(): Promise<ReadonlyMap<string, string>>;
  /** Successful writes of the target of a desk by that desk. */
  writes(desk: Desk): number;
}

/** A cluster with a Deployment and a ControlSurface for each of so many desks, mosquitto, and links. */
export async function several(t: Test, count: number): Promise<Several> {
  const names = Array.from({ length: count }, (_, index) => `desk-${index + 1}`);
  const bed = await site(t, {
    workloads: names.map((name) => ({ kind: 'Deployment', namespace: 'shop', name, replicas: 1 }) as never),
  });
  const group = 'rbac.authorization.k8s.io';
  await bed.client.post(`/apis/${group}/v1/namespaces/shop/roles`, {
    metadata: { name: 'turn' },
    rules: [{ apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['get', 'update'] }],
  } as Json);
  await bed.client.post(`/apis/${group}/v1/namespaces/shop/rolebindings`, {
    metadata: { name: 'turn' },
    roleRef: { apiGroup: group, kind: 'Role', name: 'turn' },
    subjects: [{ kind: 'Group', name: 'surfaced:surfaces', apiGroup: group }],
  } as Json);
  for (const name of names) {
    const target = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name };
    await bed.client.post(surfaces, surface(name, { bindings: [binding('fader1', { target })] }));
  }

  const stateOf = (number: number): string => path.join(bed.folder, `state-${number}`);
  const authority = await loadAuthority({ stateDir: stateOf(1), site: 'site', clock: systemClock });
  await mkdir(stateOf(2), { mode: 0o700 });
  await copyFile(path.join(stateOf(1), 'ca.pem'), path.join(stateOf(2), 'ca.pem'));
  const broker = await startRealBroker(t, 'mosquitto', undefined, {
    caPem: authority.certificatePem,
    server: async () => {
      const { certificatePem, privateKeyPem } = await authority.serverCertificate(['127.0.0.1']);
      return { certificatePem, keyPem: privateKeyPem };
    },
    client: (user) => issue(authority, user),
  });
  for (const number of [1, 2]) {
    const { certificatePem, keyPem } = await issue(authority, `_gw-${number}`);
    await writeFile(path.join(bed.folder, `gw-${number}.pem`), certificatePem);
    await writeFile(path.join(bed.folder, `gw-${number}.key`), keyPem);
    const config = {
      apiVersion,
      kind: 'Gateway',
      site: 'site',
      stateDir: stateOf(number),
      enrol: { listen: '127.0.0.1:0' },
      broker: {
        mode: 'external',
        urls: [broker.url],
        ca: path.join(stateOf(1), 'ca.pem'),
        certificate: `gw-${number}.pem`,
        key: `gw-${number}.key`,
        clientId: `_gw-${number}`,
      },
      shards: { durationSeconds: 5 },
      registry: { cluster: {} },
      policy: { identity: 'token' },
      cluster: { kubeconfig: bed.cluster.kubeconfigPath },
    };
    await writeFile(path.join(bed.folder, `gateway-${number}.yaml`), stringify(config));
  }

  const ending = new AbortController();
  t.teardown(() => ending.abort());
  const desks = await Promise.all(
    names.map(async (name) => {
      const { certificatePem, keyPem } = await issue(authority, name);
      const link = createLink({
        credentials: new FixedCredentials({
          ...{ site: 'site', surface: name, broker: { host: '127.0.0.1', port: broker.port } },
          ...{ caPem: authority.certificatePem, certificatePem, privateKeyPem: keyPem },
          ...{ notAfter: Date.now() + lifeMs, trust: 'token', level: null },
        }),
        birth: { model: 'test', firmware: '1.2.3', controls: [{ name: 'fader1', kind: 'fader' }] },
        ...{ clock: systemClock, log: silentLog, random: Math.random },
      });
      t.teardown(() => link.stop());
      link.start(ending.signal);
      return new Desk(name, link);
    }),
  );
  return {
    ...{ bed, broker, desks },
    gateway: (number) => {
      const config = path.join(bed.folder, `gateway-${number}.yaml`);
      const process = new Surfaced(`gw-${number}`, ['gateway', '--config', config, '--name', `gw-${number}`]);
      t.teardown(() => process.end('SIGKILL'));
      return process;
    },
    holders: async () => {
      const { items } = (await bed.client.get('/apis/coordination.k8s.io/v1/namespaces/surfaced/leases'))
        .body as unknown as {
        items: readonly { metadata: { name: string }; spec: { holderIdentity: string } }[];
      };
      const shards = items.filter(({ metadata }) => metadata.name.startsWith('surfaced-shard-'));
      return new Map(shards.map(({ metadata, spec }) => [metadata.name, spec.holderIdentity.slice(0, 4)]));
    },
    writes: ({ name }) =>
      bed.cluster.control.requestLog.entries.filter(
        ({ verb, resource, user, status }) =>
          verb === 'update' &&
          resource === 'deployments/scale' &&
          user === `surfaced:surface:${name}` &&
          status < 300,
      ).length,
  };
}
