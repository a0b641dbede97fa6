/** Who a request comes from: client certificate or bearer token, then impersonation headers. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { type Attributes, anonymous, forbidden, type Identity, isAllowed } from './rbac.ts';
import { StatusError } from './status.ts';
import type { Store } from './store.ts';

/** The people that tokens stand for. */
export type Tokens = ReadonlyMap<string, Identity>;

/** Reading a certificate costs more than most answers, and a connection has one for its whole life. */
const byConnection = new WeakMap<TLSSocket, Identity>();

function certified(socket: TLSSocket): Identity {
  const { subject } = socket.getPeerCertificate();
  const organisations = subject?.O as string | string[] | undefined;
  return {
    username: String(subject?.CN ?? ''),
    groups: [...(organisations === undefined ? [] : [organisations].flat()), 'system:authenticated'],
    extra: {},
  };
}

/** Who sent this request. @throws StatusError 401 for a token that nobody has (recording 03) */
export function authenticate(request: IncomingMessage, tokens: Tokens): Identity {
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const token = /^Bearer (.+)$/i.exec(authorization)?.[1] ?? '';
    const identity = tokens.get(token);
    if (identity === undefined) {
      throw new StatusError(401, 'Unauthorized', 'Unauthorized', { details: null });
    }
    return identity;
  }
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return anonymous;
  const known = byConnection.get(socket) ?? certified(socket);
  byConnection.set(socket, known);
  return known;
}

/** The values of a header, one per line as sent: a joined line is one value, as it is for the API server. */
function headerLines(request: IncomingMessage, name: string): string[] {
  const lines: string[] = [];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    if (request.rawHeaders[index]!.toLowerCase() === name) lines.push(request.rawHeaders[index + 1]!);
  }
  return lines;
}

/** Who the request is to be carried out as. @throws StatusError 403 when the sender may not impersonate */
export function impersonate(store: Store, request: IncomingMessage, sender: Identity): Identity {
  const [username] = headerLines(request, 'impersonate-user');
  const groups = headerLines(request, 'impersonate-group');
  const extra: Record<string, string[]> = {};
  for (const name of Object.keys(request.headers)) {
    if (!name.startsWith('impersonate-extra-')) continue;
    extra[decodeURIComponent(name.slice('impersonate-extra-'.length))] = headerLines(request, name);
  }
  if (username === undefined) {
    if (groups.length === 0 && Object.keys(extra).length === 0) return sender;
    const message = `requested [{Group  ${groups[0] ?? ''}    }] without impersonating a user`;
    throw new StatusError(500, 'InternalError', `Internal error occurred: ${message}`, { details: null });
  }
  const wishes: { group: string; resource: string; subresource: string; name: string }[] = [
    { group: '', resource: 'users', subresource: '', name: username },
    ...groups.map((name) => ({ group: '', resource: 'groups', subresource: '', name })),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((name) => ({
        group: 'authentication.k8s.io',
        resource: 'userextras',
        subresource: key,
        name,
      })),
    ),
  ];
  for (const wish of wishes) {
    const attributes: Attributes = { ...wish, verb: 'impersonate', namespace: null, path: null };
    if (!isAllowed(store, sender, attributes)) throw forbidden(sender, attributes);
  }
  const isAnonymous = username === anonymous.username;
  const base = isAnonymous ? 'system:unauthenticated' : 'system:authenticated';
  return { username, groups: groups.includes(base) ? groups : [...groups, base], extra };
}
