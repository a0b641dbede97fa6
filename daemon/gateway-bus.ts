/** Where surfaces and the gateway meet: the broker inside of it, or one of others. */
import { readFile } from 'node:fs/promises';
import type { Authority } from './attest/authority/ca.ts';
import { makeProbeCertificate } from './attest/authority/probe-certificate.ts';
import { makeServerCertificate } from './attest/authority/server-certificate.ts';
import { ShownCertificates } from './attest/authority/shown-certificates.ts';
import type { Identity } from './attest/types.ts';
import { startBroker } from './bridge/broker/broker.ts';
import { connectExternalBroker } from './bridge/external/bus.ts';
import { addressOf } from './bridge/external/connect.ts';
import { probeSurfaces } from './bridge/external/probe.ts';
import type { Observe } from './bridge/observer.ts';
import type { Registry } from './bridge/registry/types.ts';
import type { GatewayBus } from './bridge/wire/bus.ts';
import type { Clock } from './clock.ts';
import type { ExternalBrokerConfig } from './config/brokers.ts';
import type { GatewayConfig } from './config/schema.ts';
import { SurfacedError } from './errors.ts';
import { type PartHealth, splitListen } from './health.ts';
import type { Log } from './log.ts';

/** The way to surfaces, whichever broker it is. */
export interface SurfaceBus extends GatewayBus {
  /** Surfaces that are there. */
  readonly sessions: number;
  /** Identity of a surface that is there, null otherwise. */
  identityOf(surface: string): Identity | null;
}

export interface OpenedBus {
  readonly bus: SurfaceBus;
  /** What surfaces are told; host null: that by which they reached the gateway. */
  readonly address: { readonly host: string | null; readonly port: number };
  health(): PartHealth;
  /** End of the broker's certificate where it is the gateway's own, Unix milliseconds; null: of others. */
  serverNotAfter(): number | null;
  close(): Promise<void>;
}

interface Parts {
  readonly config: GatewayConfig;
  readonly authority: Authority;
  readonly registry: Registry;
  /** Names this process, for the will. */
  readonly session: string;
  readonly isAllowed: (identity: Identity) => boolean;
  /** Surfaces whose evidence has failed before this start: certificates of then do not count. */
  readonly failed: readonly string[];
  readonly observe: Observe;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

/** Opens what the Gateway file names. @throws SurfacedError E_LISTEN, E_BROKER_IDENTITY, E_CFG_READ */
export async function openBus(parts: Parts): Promise<OpenedBus> {
  const { broker } = parts.config;
  return broker.mode === 'external' ? openExternal(parts, broker) : openEmbedded(parts, broker);
}

async function openEmbedded(
  { config, authority, isAllowed, clock, observe, log }: Parts,
  { listen, maxConnections }: Extract<GatewayConfig['broker'], { mode: 'embedded' }>,
): Promise<OpenedBus> {
  const certificate = await makeServerCertificate({ authority, hosts: config.enrol.hosts, clock, log });
  let serverNotAfter = certificate.first.notAfter;
  const broker = await startBroker({
    ...splitListen(listen),
    site: config.site,
    gateway: config.name,
    serverKeyPem: certificate.first.privateKeyPem,
    serverCertificatePem: certificate.first.certificatePem,
    clientCaPem: authority.certificatePem,
    maxConnections,
    identify: (der) => authority.identify(der),
    isAllowed,
    ...{ clock, observe },
    log: log.child({ part: 'broker' }),
  });
  const stopRenewal = certificate.keep(({ privateKeyPem, certificatePem, notAfter }) => {
    broker.setServerCertificate(privateKeyPem, certificatePem);
    serverNotAfter = notAfter;
  });
  return {
    bus: broker,
    address: { host: null, port: broker.port },
    health: () => ({ ok: true, detail: `port ${broker.port}` }),
    serverNotAfter: () => serverNotAfter,
    close: async () => {
      stopRenewal();
      await broker.close();
    },
  };
}

async function openExternal(
  { config, authority, registry, session, isAllowed, failed, observe, clock, random, log }: Parts,
  broker: ExternalBrokerConfig,
): Promise<OpenedBus> {
  const shown = new ShownCertificates(authority, clock);
  for (const surface of failed) shown.withdraw(surface);
  const { ca, certificate, key, username, passwordFile } = broker;
  const bus = await connectExternalBroker({
    urls: broker.urls,
    tls: async () => ({
      caPem: await read('ca', ca),
      client:
        certificate === undefined || key === undefined
          ? null
          : { certificatePem: await read('certificate', certificate), keyPem: await read('key', key) },
    }),
    login:
      username === undefined || passwordFile === undefined
        ? null
        : { username, password: (await read('passwordFile', passwordFile)).trim() },
    clientId: broker.clientId ?? `_gw-${config.name}`,
    site: config.site,
    gateway: config.name,
    session,
    identityOf: (surface) => shown.of(surface),
    isAllowed,
    shown: (surface, der) => shown.show(surface, der),
    withdrawn: (surface) => shown.withdraw(surface),
    surfaces: () => registry.list().map(({ metadata }) => metadata.name),
    probe: broker.probe
      ? {
          ...probeSurfaces,
          tls: async () => {
            const { certificatePem, keyPem } = await makeProbeCertificate(authority, probeSurfaces.surface);
            return { caPem: await read('ca', ca), client: { certificatePem, keyPem } };
          },
        }
      : null,
    ...{ clock, random, observe, timing: null },
    log: log.child({ part: 'broker' }),
  });
  return {
    bus,
    address: addressOf(broker.surfaceUrl ?? broker.urls[0] ?? ''),
    health: () => bus.health(),
    serverNotAfter: () => null,
    close: () => bus.close(),
  };
}

async function read(field: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new SurfacedError('E_CFG_READ', `broker.${field}: ${file} cannot be read`, { cause });
  }
}
