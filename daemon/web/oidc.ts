/**
 * Log-in by OpenID Connect: authorization code with PKCE, state and nonce, checked by openid-client. What comes of it is a name
 * and groups, as an API server with the same settings would have them; what they may do is for Kubernetes to say.
 */
import type { Server } from 'node:https';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type * as OpenidClient from 'openid-client';
import type { Clock } from '../clock.ts';
import { readBounded } from '../config/read-bounded.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import type { Log } from '../log.ts';
import { readCookie } from './cookies.ts';
import { newSecret } from './sessions.ts';
import type { PageUser } from './sources.ts';
import { fetchTrusting } from './trusting-fetch.ts';

type OidcConfig = NonNullable<NonNullable<GatewayConfig['pages']>['login']['oidc']>;

export const callbackPath = '/login/oidc/callback';
/** The one cookie that must come with a visit from another site: it opens nothing, and counts once. */
const cookieName = '__Host-surfaced-oidc';
/** Time to log in at the provider, milliseconds. */
const pendingMs = 10 * 60_000;
const mostPending = 1000;
const timeoutSeconds = 10;
const mostSecretBytes = 4096;
const mostCaBytes = 1 << 20;
const mostGroups = 500;

interface Pending {
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
  readonly at: number;
}

/** A provider. */
export interface Oidc {
  /** For people. */
  readonly host: string;
  /** Begins a log-in: where to send the browser, and the cookie it must come back with. @throws SurfacedError E_PAGES_OIDC */
  begin(redirectUri: string): Promise<{ readonly to: URL; readonly cookie: string }>;
  /** Ends it: who came back. @throws SurfacedError E_PAGES_OIDC */
  finish(cookie: string, returned: URL): Promise<PageUser>;
}

/** Reads secret and CA; the provider itself is asked when somebody logs in. @throws SurfacedError E_PAGES_OIDC */
export async function openOidc(
  config: OidcConfig,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<Oidc> {
  const client = await import('openid-client');
  const secret = config.clientSecretFile && (await readText(config.clientSecretFile, mostSecretBytes)).trim();
  const fetching = config.caFile ? fetchTrusting(await readText(config.caFile, mostCaBytes)) : null;
  let provider: Promise<OpenidClient.Configuration> | null = null;
  const pending = new Map<string, Pending>();

  const discover = async (): Promise<OpenidClient.Configuration> => {
    const found = await client.discovery(
      new URL(config.issuer),
      config.clientId,
      undefined,
      secret ? client.ClientSecretPost(secret) : client.None(),
      {
        timeout: timeoutSeconds,
        // The key set is asked for, too: a token that came over TLS could do without.
        execute: [client.enableNonRepudiationChecks],
        ...(fetching && { [client.customFetch]: fetching }),
      },
    );
    return found;
  };
  const known = async (): Promise<OpenidClient.Configuration> => {
    provider ??= discover();
    try {
      return await provider;
    } catch (cause) {
      provider = null;
      throw failed('the provider cannot be asked', cause);
    }
  };

  return {
    host: new URL(config.issuer).host,
    begin: async (redirectUri) => {
      const configuration = await known();
      const [verifier, state, nonce] = [
        client.randomPKCECodeVerifier(),
        client.randomState(),
        client.randomNonce(),
      ];
      const cookie = newSecret();
      const now = clock.monotonic();
      for (const [key, { at }] of pending)
        if (now - at > pendingMs || pending.size >= mostPending) pending.delete(key);
      pending.set(cookie, { verifier, state, nonce, at: now });
      const to = client.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: config.scopes.join(' '),
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
      });
      return { to, cookie };
    },
    finish: async (cookie, returned) => {
      const begun = pending.get(cookie);
      pending.delete(cookie);
      if (begun === undefined || clock.monotonic() - begun.at > pendingMs)
        throw failed('this log-in was not begun here, or too long ago: begin again', null);
      const configuration = await known();
      let claims: OpenidClient.IDToken | undefined;
      try {
        const tokens = await client.authorizationCodeGrant(configuration, returned, {
          pkceCodeVerifier: begun.verifier,
          expectedState: begun.state,
          expectedNonce: begun.nonce,
          idTokenExpected: true,
        });
        claims = tokens.claims();
      } catch (cause) {
        log.warn({ err: cause }, 'the provider did not confirm a log-in');
        throw failed('the provider did not confirm the log-in', cause);
      }
      return userOf(claims ?? {}, config);
    },
  };
}

const failed = (words: string, cause: unknown): SurfacedError =>
  new SurfacedError(
    'E_PAGES_OIDC',
    cause instanceof Error ? `${words}: ${cause.message}` : words,
    cause === null ? {} : { cause },
  );

async function readText(file: string, mostBytes: number): Promise<string> {
  try {
    return (await readBounded(file, mostBytes)).toString('utf8');
  } catch (cause) {
    throw failed(`${file} cannot be read`, cause);
  }
}

/**
 * Somebody by their claims, as `--oidc-username-claim` and its neighbours of kube-apiserver make one. Names and groups that
 * Kubernetes keeps to itself are never given by a provider.
 * @throws SurfacedError E_PAGES_OIDC
 */
export function userOf(
  claims: Readonly<Record<string, unknown>>,
  config: Pick<OidcConfig, 'usernameClaim' | 'usernamePrefix' | 'groupsClaim' | 'groupsPrefix'>,
): PageUser {
  const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix } = config;
  const claimed = claims[usernameClaim];
  if (typeof claimed !== 'string' || claimed === '' || claimed.length > 512)
    throw failed(`claim ${usernameClaim} is not a name`, null);
  // A provider may leave it out; whatever it says that is not a plain yes is no.
  if (usernameClaim === 'email' && claims.email_verified !== undefined && claims.email_verified !== true)
    throw failed('the provider has not verified this address', null);
  const name = `${usernamePrefix}${claimed}`;
  if (name.startsWith('system:')) throw failed(`${name} is a name that Kubernetes keeps to itself`, null);
  const listed = claims[groupsClaim];
  const groups = (Array.isArray(listed) ? (listed as unknown[]) : [listed])
    .filter((group): group is string => typeof group === 'string' && group !== '' && group.length <= 512)
    .slice(0, mostGroups)
    .map((group) => `${groupsPrefix}${group}`)
    .filter((group) => !group.startsWith('system:'));
  return { name, uid: '', groups: [...groups, 'system:authenticated'], extra: {} };
}

/** Adds the two paths of a log-in by provider. */
export function addOidc(
  app: FastifyInstance<Server>,
  parts: {
    readonly oidc: Oidc;
    readonly limits: { readonly login: (address: string) => boolean };
    readonly url: () => string;
    readonly enter: (
      request: FastifyRequest,
      reply: FastifyReply,
      who: { readonly user: PageUser; readonly lifeMs: null; readonly by: 'oidc' },
    ) => Promise<FastifyReply>;
    readonly refuse: (reply: FastifyReply, words: string, status: number) => FastifyReply;
  },
): void {
  const { oidc, limits, url, enter, refuse } = parts;
  const attempt = async (reply: FastifyReply, step: () => Promise<FastifyReply>): Promise<FastifyReply> => {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof SurfacedError) || error.code !== 'E_PAGES_OIDC') throw error;
      return refuse(reply, error.message, 401);
    }
  };
  const cookieOf = (value: string, maxAge: number): string =>
    `${cookieName}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${maxAge}`;
  app.get('/login/oidc', async (request, reply) =>
    attempt(reply, async () => {
      // The way back needs no limit of its own: it leads nowhere without what is begun here.
      if (!limits.login(request.ip))
        return refuse(reply, 'Too many attempts from this network: try again in a minute.', 429);
      const { to, cookie } = await oidc.begin(`${url()}${callbackPath}`);
      return reply.header('set-cookie', cookieOf(cookie, pendingMs / 1000)).redirect(to.href, 303);
    }),
  );
  app.get(callbackPath, async (request, reply) =>
    attempt(reply, async () => {
      const user = await oidc.finish(readCookie(request, cookieName), new URL(request.url, url()));
      reply.header('set-cookie', cookieOf('', 0));
      return enter(request, reply, { user, lifeMs: null, by: 'oidc' });
    }),
  );
}
