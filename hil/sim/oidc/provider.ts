/**
 * A small OpenID Connect provider: discovery, authorization code with PKCE, key set. It believes whoever picks a person on its
 * page. By OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3, and RFC 7636; with faults that a client must see.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { makeCertificates } from '../cluster/certificates.ts';

/** What the next tokens have wrong. */
export type OidcFault = 'nonce' | 'signature' | 'audience' | 'issuer' | 'expired' | 'token-endpoint-away';

/** How a provider is to be. */
export interface SimOidcOptions {
  readonly clientId: string;
  /** Null: a public client. */
  readonly clientSecret: string | null;
  /** Claims of each person that can be picked, by their `sub`. */
  readonly people: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A running provider. */
export interface SimOidc {
  readonly issuer: string;
  readonly caPem: string;
  /** Null: nothing is wrong. */
  fault: OidcFault | null;
  /** Codes that were exchanged. */
  readonly exchanged: number;
  close(): Promise<void>;
}

interface Grant {
  readonly sub: string;
  readonly nonce: string;
  readonly challenge: string;
  readonly redirectUri: string;
}

const base64url = (data: Buffer | string): string => Buffer.from(data).toString('base64url');

/** Starts a provider on localhost, with a CA of its own. */
export async function startSimOidc(options: SimOidcOptions): Promise<SimOidc> {
  const { clientId, clientSecret, people } = options;
  const certificates = await makeCertificates(Date.now());
  const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = newKey();
  const other = newKey();
  const grants = new Map<string, Grant>();
  const sockets = new Set<Socket>();
  let issuer = '';
  let exchanged = 0;
  const state: { fault: OidcFault | null } = { fault: null };

  const idToken = ({ sub, nonce }: Grant): string => {
    const { fault } = state;
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      ...people[sub],
      sub,
      iss: fault === 'issuer' ? 'https://somebody.else' : issuer,
      aud: fault === 'audience' ? 'another-client' : clientId,
      nonce: fault === 'nonce' ? 'another-nonce' : nonce,
      iat: fault === 'expired' ? now - 7200 : now,
      exp: fault === 'expired' ? now - 3600 : now + 300,
    };
    const signed = `${base64url(JSON.stringify({ alg: 'ES256', kid: 'one' }))}.${base64url(JSON.stringify(claims))}`;
    return `${signed}.${signatureOf(signed, fault === 'signature' ? other.privateKey : key.privateKey)}`;
  };

  /** The page that asks who you are; picking somebody leads back with a code. */
  const authorize = (query: URLSearchParams, response: ServerResponse): void => {
    const isKnown =
      query.get('client_id') === clientId &&
      query.get('response_type') === 'code' &&
      query.get('code_challenge_method') === 'S256';
    if (!isKnown) {
      answer(response, 400, { error: 'invalid_request' });
      return;
    }
    const sub = query.get('pick');
    const redirectUri = query.get('redirect_uri') ?? '';
    if (sub === null) {
      const links = Object.keys(people).map((name) => {
        const picked = new URLSearchParams(query);
        picked.set('pick', name);
        return `<a href="/authorize?${picked.toString().replaceAll('&', '&amp;')}">Log in as ${name}</a>`;
      });
      response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html>${links.join('<br>')}`);
      return;
    }
    const code = randomBytes(16).toString('hex');
    grants.set(code, {
      sub,
      redirectUri,
      nonce: query.get('nonce') ?? '',
      challenge: query.get('code_challenge') ?? '',
    });
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    back.searchParams.set('state', query.get('state') ?? '');
    response.writeHead(302, { location: back.href }).end();
  };

  const exchange = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    if (state.fault === 'token-endpoint-away') return void request.socket.destroy();
    const form = new URLSearchParams(text);
    const grant = grants.get(form.get('code') ?? '');
    // A code counts once, whatever comes of it (RFC 6749, section 4.1.2).
    grants.delete(form.get('code') ?? '');
    const verifier = form.get('code_verifier') ?? '';
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const isGood =
      grant !== undefined &&
      form.get('grant_type') === 'authorization_code' &&
      form.get('client_id') === clientId &&
      (clientSecret === null || form.get('client_secret') === clientSecret) &&
      form.get('redirect_uri') === grant.redirectUri &&
      challenge === grant.challenge;
    if (!isGood) return answer(response, 400, { error: 'invalid_grant' });
    exchanged++;
    const token = randomBytes(16).toString('hex');
    answer(response, 200, { access_token: token, token_type: 'Bearer', id_token: idToken(grant) });
  };

  const server = createServer({ ...certificates.server }, (request, response) => {
    const url = new URL(request.url ?? '/', issuer);
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return answer(response, 200, {
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['ES256'],
          code_challenge_methods_supported: ['S256'],
        });
      case '/jwks':
        return answer(response, 200, {
          keys: [{ ...key.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' }],
        });
      case '/favicon.ico':
        return void response.writeHead(204).end();
      case '/authorize':
        return authorize(url.searchParams, response);
      case '/token':
        return void exchange(request, response);
      default:
        return answer(response, 404, { error: 'not_found' });
    }
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `https://localhost:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    caPem: certificates.ca,
    get fault() {
      return state.fault;
    },
    set fault(fault) {
      state.fault = fault;
    },
    get exchanged() {
      return exchanged;
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** ES256 takes both numbers one after the other, not DER (RFC 7518, section 3.4). */
const signatureOf = (text: string, privateKey: KeyObject): string =>
  sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
