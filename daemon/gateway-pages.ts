/** The gateway's pages: what they show and do, put together from the parts of the gateway; off unless the Gateway file says so. */
import path from 'node:path';
import type { Audit } from './attest/audit/types.ts';
import type { Authority } from './attest/authority/ca.ts';
import { makeServerCertificate } from './attest/authority/server-certificate.ts';
import { shareConnections } from './attest/enrol/connections.ts';
import { createRateLimit } from './attest/enrol/rate-limit.ts';
import { networkOf } from './attest/network.ts';
import type { PolicyStore } from './attest/policy/types.ts';
import type { Attesting } from './attest/trust/types.ts';
import { levelSentences } from './attest/verifier/verdict.ts';
import type { CommandRecord } from './bridge/gateway/command.ts';
import type { Relay } from './bridge/gateway/relay.ts';
import type { ConnectedCluster } from './bridge/kube/cluster.ts';
import type { Registry } from './bridge/registry/types.ts';
import type { Clock } from './clock.ts';
import type { GatewayConfig } from './config/schema.ts';
import { createPageAccess } from './gateway-pages/access.ts';
import { createAuditReader } from './gateway-pages/audit.ts';
import { createDecisions } from './gateway-pages/decisions.ts';
import type { Log } from './log.ts';
import type { PagesServer } from './web/server.ts';
import type { KnownSurface, PageSources } from './web/sources.ts';

/** The last command of each slot that has ended, kept while somebody could look. */
export interface LastCommands {
  note(entry: CommandRecord): void;
  of(surface: string): ReadonlyMap<number, CommandRecord>;
}

const maxConnections = 512;
const noCommands: ReadonlyMap<number, CommandRecord> = new Map();

/** Makes the memory; it holds one command a slot. */
export function rememberCommands(): LastCommands {
  const bySurface = new Map<string, Map<number, CommandRecord>>();
  return {
    note: (entry) => {
      if (entry.slot === null) return;
      const slots = bySurface.get(entry.surface) ?? new Map<number, CommandRecord>();
      bySurface.set(entry.surface, slots.set(entry.slot, entry));
    },
    of: (surface) => bySurface.get(surface) ?? noCommands,
  };
}

export interface GatewayPagesParts {
  readonly config: GatewayConfig;
  readonly authority: Authority;
  readonly registry: Registry;
  readonly cluster: ConnectedCluster;
  readonly attesting: Attesting;
  readonly audit: Audit;
  readonly policies: PolicyStore;
  readonly relay: Pick<Relay, 'status' | 'view'>;
  readonly lastCommands: LastCommands;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Starts the pages; null: they are off.
 * @throws SurfacedError E_LISTEN, E_PAGES_CERTIFICATE, E_PAGES_OIDC
 */
export async function openPages(parts: GatewayPagesParts): Promise<PagesServer | null> {
  const { config, authority, clock } = parts;
  const { pages } = config;
  if (pages === undefined) return null;
  const log = parts.log.child({ part: 'pages' });
  // Only then are they loaded.
  const [{ startPages }, { certificateFiles }] = await Promise.all([
    import('./web/server.ts'),
    import('./web/certificate.ts'),
  ]);
  const closing = new AbortController();
  const reader = createAuditReader({
    folder: path.join(config.stateDir, 'audit'),
    clock,
    log,
    signal: closing.signal,
  });
  const namespace = config.registry.cluster?.namespace ?? pages.namespace;
  const requests = createRateLimit({ burst: 300, perSecond: 30, maxNames: 10_000, clock });
  const logins = createRateLimit({ burst: 20, perSecond: 0.5, maxNames: 10_000, clock });
  const server = await startPages({
    pages,
    certificate:
      pages.certificate && pages.key
        ? await certificateFiles({ certificate: pages.certificate, key: pages.key, log })
        : await makeServerCertificate({ authority, hosts: pages.hosts, clock, log }),
    sources: sourcesOf(parts, { namespace, reader, signal: closing.signal, log }),
    access: createPageAccess({
      access: parts.cluster.access,
      namespace,
      audience: pages.login.tokens?.audience ?? null,
      signal: closing.signal,
    }),
    limits: {
      request: (address) => requests.take(networkOf(address)),
      login: (address) => logins.take(networkOf(address)),
      connections: (server) => shareConnections(server, { most: maxConnections, surfaceOf: () => null }),
    },
    clock,
    log,
  });
  log.info({ url: server.url }, 'pages are served');
  return {
    ...server,
    close: async () => {
      closing.abort(new Error('closed'));
      await server.close();
      await reader.idle();
    },
  };
}

function sourcesOf(
  parts: GatewayPagesParts,
  more: {
    readonly namespace: string;
    readonly reader: ReturnType<typeof createAuditReader>;
    readonly signal: AbortSignal;
    readonly log: Log;
  },
): PageSources {
  const { config, registry, cluster, attesting, audit, policies, relay, lastCommands } = parts;
  const { namespace, reader, signal, log } = more;
  const decisions = createDecisions({ config, cluster, attesting, audit, namespace, signal, log });
  const surface = (name: string): KnownSurface | null => {
    const known = registry.get(name);
    if (known === null) return null;
    const { tpm, isRevoked, policy } = known.spec;
    return {
      name,
      isRevoked,
      assertedLevel: tpm?.assertedLevel ?? null,
      policy: policy ?? null,
      trust: attesting.of(name),
      view: relay.view(name),
      lastCommands: lastCommands.of(name),
    };
  };
  return {
    site: config.site,
    gateway: config.name,
    isInCluster: config.registry.cluster !== undefined,
    namespace,
    names: () =>
      registry
        .list()
        .map(({ metadata }) => metadata.name)
        .sort(),
    surface,
    problems: () => relay.status().problems,
    waiting: () => attesting.quarantine(),
    policies: () => [...new Set(policies.list().map(({ name }) => name))].sort(),
    verdictOf: (name) => attesting.verdictOf(name),
    levelSentence: (level) => levelSentences[level],
    bindingRights: async (name) => {
      const known = registry.get(name);
      return known === null ? [] : decisions.bindingRights(known);
    },
    approve: (decision, by) => decisions.approve(decision, by),
    deny: (ekSha256, by) => decisions.deny(ekSha256, by),
    setRevoked: (name, isRevoked, by) => decisions.setRevoked(name, isRevoked, by),
    ...reader.sources,
  };
}
