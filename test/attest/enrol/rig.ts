/** What the tests of enrolment share: a gateway's parts on a free port, and clocks that tests move. */
import { randomBytes, webcrypto } from 'node:crypto';
import { Agent, type AgentOptions, request } from 'node:https';
import path from 'node:path';
import type { Test } from 'tap';
import { type Authority, loadAuthority } from '../../../daemon/attest/authority/ca.ts';
import { type EnrolServerOptions, startEnrolServer } from '../../../daemon/attest/enrol/server.ts';
import { openTokens, type Tokens } from '../../../daemon/attest/enrol/tokens.ts';
import { createMemoryRegistry, type MemoryRegistry } from '../../../daemon/bridge/registry/memory.ts';
import type { Clock } from '../../../daemon/clock.ts';
import { parseConfig } from '../../../daemon/config/load.ts';
import { apiVersion, type ControlSurface, type GatewayConfig } from '../../../daemon/config/schema.ts';
import { silentLog } from '../../../daemon/log.ts';
import { type StandInAttesting, type StandInAudit, standInAttesting, standInAudit } from './stand-in.ts';

export interface TestClock extends Clock {
  advance(milliseconds: number): void;
}

/** A clock that stands still until it is moved. */
export function testClock(now: number): TestClock {
  let passed = 0;
  return {
    now: () => now + passed,
    monotonic: () => 1000 + passed,
    advance: (milliseconds) => {
      passed += milliseconds;
    },
  };
}

export const surfaceNamed = (name: string, isRevoked = false): ControlSurface =>
  parseConfig(
    'ControlSurface',
    JSON.stringify({ apiVersion, kind: 'ControlSurface', metadata: { name }, spec: { isRevoked } }),
    'test',
  );

export interface Rig {
  readonly port: number;
  readonly url: string;
  readonly authority: Authority;
  readonly tokens: Tokens;
  readonly registry: MemoryRegistry;
  readonly clock: TestClock;
  readonly config: GatewayConfig;
  readonly attesting: StandInAttesting;
  readonly audit: StandInAudit;
  newToken(surface?: string, uses?: number): Promise<string>;
}

/** A running enrolment endpoint whose registry knows the surface `desk`. @param stateDir of a gateway that was there before */
export async function startRig(
  t: Test,
  change: Partial<GatewayConfig> = {},
  stateDir = t.testdir(),
  more: EnrolServerOptions['more'] = null,
): Promise<Rig> {
  const base = parseConfig(
    'Gateway',
    JSON.stringify({
      apiVersion,
      kind: 'Gateway',
      stateDir,
      registry: { folder: stateDir },
      enrol: { listen: '127.0.0.1:0', hosts: ['localhost', '127.0.0.1'] },
      policy: { identity: 'token' },
    }),
    path.join(stateDir, 'gateway.yaml'),
  );
  const config = { ...base, ...change };
  const clock = testClock(Date.now());
  const authority = await loadAuthority({ stateDir, site: config.site, clock });
  const tokens = openTokens({ folder: path.join(stateDir, 'tokens'), clock });
  const registry = createMemoryRegistry([surfaceNamed('desk')]);
  const attesting = standInAttesting();
  const audit = standInAudit();
  const parts = { config, authority, tokens, registry, attesting, audit, clock };
  const server = await startEnrolServer({
    ...parts,
    broker: { host: null, port: 8883 },
    more,
    log: silentLog,
  });
  t.teardown(() => server.close());
  return {
    ...parts,
    port: server.port,
    url: `https://127.0.0.1:${server.port}`,
    newToken: async (surface = 'desk', uses = 1) =>
      (await tokens.create({ surface, ttlMs: 3_600_000, uses })).token,
  };
}

export interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what the answer holds is what the tests look at
  readonly json: any;
}

/** Sends requests one after the other over one connection, as a client that knows nothing of the rules. */
export function rawClient(rig: Rig, t: Test, tls: AgentOptions = {}) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: rig.authority.certificatePem, ...tls });
  t.teardown(() => agent.destroy());
  const send = (method: string, url: string, body: string | Buffer, type: string): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        { agent, host: '127.0.0.1', port: rig.port, path: url, method, headers: { 'content-type': type } },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('end', () => {
            const text = Buffer.concat(parts).toString();
            resolve({ status: response.statusCode ?? 0, json: text === '' ? null : JSON.parse(text) });
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  return {
    send,
    post: (url: string, body: unknown) =>
      send('POST', `/v1/attest/${url}`, JSON.stringify(body), 'application/json'),
  };
}

/** A nonce of the right form that nobody gave out. */
export const strangeHex = (): string => randomBytes(32).toString('hex');

/** A key pair of some kind that is not what surfaces use. */
export const generateKeys = (algorithm: {
  name: string;
  namedCurve?: string;
}): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm as webcrypto.EcKeyGenParams, true, ['sign', 'verify']);
