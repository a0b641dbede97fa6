/** Everything that is hit, as processes of their own, with ways between them that can be cut. */
import { webcrypto } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { type Authority, loadAuthority } from '../../daemon/attest/authority/ca.ts';
import * as x509 from '../../daemon/attest/authority/x509.ts';
import { systemClock } from '../../daemon/clock.ts';
import { apiVersion } from '../../daemon/config/schema.ts';
import { type RealBroker, startRealBroker, type TriedBroker } from '../../test/bridge/external/brokers.ts';
import { FixedCredentials, type Issued } from '../../test/bridge/pki.ts';
import { freePort, Surfaced } from '../../test/e2e/processes.ts';
import { type FailureCluster, startCluster } from './cluster.ts';
import { Knob } from './knob.ts';
import { Way } from './way.ts';

const lifeMs = 24 * 3_600_000;

export interface SiteOptions {
  readonly broker: TriedBroker;
  readonly gateways: number;
  readonly surfaces: number;
  readonly leaseSeconds: number;
  readonly seed: number;
  /** Where state and configuration go. */
  readonly folder: string;
}

/** A gateway with its two ways. */
export interface GatewaySeat {
  readonly name: string;
  readonly toBroker: Way;
  readonly toApi: Way;
  process: Surfaced;
  /** Logs of its earlier processes. */
  readonly logs: string[];
  start(): Promise<void>;
}

export interface FailureSite {
  readonly cluster: FailureCluster;
  readonly broker: RealBroker;
  readonly gateways: readonly GatewaySeat[];
  readonly knobs: readonly Knob[];
  /** Way of all surfaces. */
  readonly surfacesToBroker: Way;
  /** Process in front of the API server. */
  front: Surfaced;
  startFront(): Promise<void>;
  close(): Promise<void>;
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

/** Starts cluster, broker, gateways and surfaces; resolves when the gateways run. */
export async function openSite(options: SiteOptions): Promise<FailureSite> {
  const { folder } = options;
  const closing: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    return await fill(options, folder, closing, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function fill(
  options: SiteOptions,
  folder: string,
  closing: (() => unknown)[],
  close: () => Promise<void>,
): Promise<FailureSite> {
  const names = Array.from({ length: options.surfaces }, (_, index) => `knob-${index + 1}`);
  const users = Array.from({ length: options.gateways }, (_, index) => `_gw-${index + 1}`);
  const cluster = await startCluster(names, folder, options.seed);
  closing.push(() => cluster.close());
  const stateOf = (user: string): string => path.join(folder, `state${user}`);
  const first = stateOf('_gw-1');
  const authority = await loadAuthority({ stateDir: first, shared: null, site: 'site', clock: systemClock });
  const broker = await startRealBroker(
    { teardown: (end: () => unknown) => void closing.push(end) } as Parameters<typeof startRealBroker>[0],
    options.broker,
    undefined,
    {
      caPem: authority.certificatePem,
      server: async () => {
        const { certificatePem, privateKeyPem } = await authority.serverCertificate(['127.0.0.1']);
        return { certificatePem, keyPem: privateKeyPem };
      },
      client: (user) => issue(authority, user),
    },
    { gateways: users, surfaces: [...names, 'acl-probe'] },
  );
  const wayTo = async (port: number): Promise<Way> => {
    const way = await Way.open(port, 0);
    closing.push(() => way.close());
    return way;
  };

  const frontPort = await freePort();
  const apiPort = new URL(cluster.cluster.url).port;
  const program = path.join(import.meta.dirname, 'front.ts');
  const startFront = async (): Promise<void> => {
    site.front = new Surfaced('front', [String(frontPort), apiPort], {}, program);
    await site.front.printed(/open/);
  };
  closing.push(() => site.front.end('SIGKILL'));

  const seatOf = async (user: string): Promise<GatewaySeat> => {
    const name = user.slice(1);
    const state = stateOf(user);
    if (state !== first) {
      await mkdir(state, { mode: 0o700 });
      await copyFile(path.join(first, 'ca.pem'), path.join(state, 'ca.pem'));
    }
    const [toBroker, toApi] = [await wayTo(broker.port), await wayTo(frontPort)];
    const { certificatePem, keyPem } = await issue(authority, user);
    const file = (ending: string): string => path.join(folder, `${name}.${ending}`);
    await writeFile(file('pem'), certificatePem);
    await writeFile(file('key'), keyPem);
    const kubeconfig = await readFile(cluster.cluster.kubeconfigPath, 'utf8');
    await writeFile(
      file('kubeconfig'),
      kubeconfig.replace(cluster.cluster.url, `https://127.0.0.1:${toApi.port}`),
    );
    const config = {
      ...{ apiVersion, kind: 'Gateway', site: 'site', stateDir: state },
      enrol: { listen: '127.0.0.1:0' },
      broker: {
        mode: 'external',
        urls: [`mqtts://127.0.0.1:${toBroker.port}`],
        ca: path.join(first, 'ca.pem'),
        ...{ certificate: file('pem'), key: file('key'), clientId: user },
      },
      shards: { durationSeconds: options.leaseSeconds },
      registry: { cluster: {} },
      policy: { identity: 'token' },
      cluster: { kubeconfig: file('kubeconfig') },
    };
    await writeFile(file('yaml'), stringify(config));
    const launch = (): Surfaced => new Surfaced(name, ['gateway', '--config', file('yaml'), '--name', name]);
    const seat: GatewaySeat = {
      ...{ name, toBroker, toApi, logs: [] },
      process: launch(),
      start: async () => {
        seat.logs.push(seat.process.log());
        seat.process = launch();
        await seat.process.logged('gateway started');
      },
    };
    closing.push(() => seat.process.end('SIGKILL'));
    return seat;
  };

  const surfacesToBroker = await wayTo(broker.port);
  const ending = new AbortController();
  const site: FailureSite = {
    ...{ cluster, broker, surfacesToBroker, startFront, close },
    front: new Surfaced('front', [String(frontPort), apiPort], {}, program),
    gateways: [],
    knobs: [],
  };
  await site.front.printed(/open/);
  const gateways = [];
  for (const user of users) gateways.push(await seatOf(user));
  await Promise.all(gateways.map(({ process }) => process.logged('gateway started')));
  const knobs = [];
  for (const name of names) {
    const { certificatePem, keyPem } = await issue(authority, name);
    const knob = new Knob(
      name,
      new FixedCredentials({
        ...{ site: 'site', surface: name, broker: { host: '127.0.0.1', port: surfacesToBroker.port } },
        ...{ caPem: authority.certificatePem, certificatePem, privateKeyPem: keyPem },
        ...{ notAfter: Date.now() + lifeMs, trust: 'token', level: null },
      }),
      ending.signal,
    );
    closing.push(() => knob.stop());
    knobs.push(knob);
  }
  return Object.assign(site, { gateways, knobs });
}
