/** Who comes in: cookies, the log-in page and its outcomes, and that whoever is in may still look. */

import type { Server } from 'node:https';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../clock.ts';
import type { GatewayConfig } from '../config/schema.ts';
import type { Log } from '../log.ts';
import { readCookie } from './cookies.ts';
import { html, type Part } from './html.ts';
import type { Notice, Viewer } from './layout.ts';
import { loginForm, noRightWords, readToken, tokenLifeMs } from './login.ts';
import { addOidc, type Oidc } from './oidc.ts';
import type { Rights } from './rights.ts';
import { isSame, type Session, type Sessions } from './sessions.ts';
import type { PageSources, PageUser } from './sources.ts';

/** `__Host-`: set by this host alone, over TLS, for all of it (RFC 6265bis, section 4.1.3.2). */
const cookieName = '__Host-surfaced';
const cookieOf = (value: string, more: string): string =>
  `${cookieName}=${value}; Path=/; Secure; HttpOnly; SameSite=Strict${more}`;

export interface DoorParts {
  readonly pages: NonNullable<GatewayConfig['pages']>;
  readonly sources: PageSources;
  readonly sessions: Sessions;
  readonly rights: Rights;
  readonly oidc: Oidc | null;
  readonly limits: { readonly login: (address: string) => boolean };
  readonly reviewToken: (token: string) => Promise<PageUser | null>;
  readonly url: () => string;
  readonly clock: Clock;
  readonly log: Log;
  readonly show: (
    reply: FastifyReply,
    page: {
      readonly title: string;
      readonly main: Part;
      readonly at: string;
      readonly viewer: Viewer | null;
      readonly notice: Notice | null;
      readonly status: number;
    },
  ) => FastifyReply;
}

/** The only way to a page. */
export interface Door {
  /** Adds the log-in and log-out paths. */
  add(app: FastifyInstance<Server>): void;
  /**
   * Whoever asks, if they are logged in and may look; else null, and the reply has been sent.
   * @param isUse whether it keeps the session alive
   * @throws SurfacedError E_PAGES_ASK
   */
  admit(request: FastifyRequest, reply: FastifyReply, isUse: boolean): Promise<Session | null>;
  /** The same for a page that is open already. */
  isStillIn(request: FastifyRequest): Promise<boolean>;
  /** Whether a form was made for this session. */
  isOurForm(session: Session, form: URLSearchParams): boolean;
}

export function createDoor(parts: DoorParts): Door {
  const { pages, sources, sessions, rights, oidc, limits, clock, log, show } = parts;
  const ways = { tokens: pages.login.tokens, provider: oidc?.host ?? null };
  const showLogin = (reply: FastifyReply, refusal: string | null, status: number): FastifyReply =>
    show(reply, {
      ...{ title: 'Log in', main: loginForm(ways, refusal), at: '', viewer: null, notice: null, status },
    });

  /** Begins a session for whoever has shown who they are, if they may look. */
  const enter = async (
    request: FastifyRequest,
    reply: FastifyReply,
    who: { readonly user: PageUser; readonly lifeMs: number | null; readonly by: string },
  ): Promise<FastifyReply> => {
    const { user, lifeMs, by } = who;
    if (!(await rights.isAllowed(user, 'look'))) {
      log.warn({ user: user.name, by, address: request.ip }, 'log-in without the right to look');
      return showLogin(reply, noRightWords(user.name, sources.namespace), 403);
    }
    sessions.end(readCookie(request, cookieName));
    reply.header('set-cookie', cookieOf(sessions.begin(user, lifeMs), ''));
    log.info({ user: user.name, by, address: request.ip }, 'somebody logged in');
    // Not a redirect: what another site has begun ends without cookies of this strictness, also after a redirect.
    reply.header('refresh', '0; url=/surfaces');
    return show(reply, {
      title: 'Logged in',
      main: html`<p><a href="/surfaces">Go on to the surfaces</a></p>`,
      ...{ at: '', viewer: null, notice: null, status: 200 },
    });
  };

  const isStillIn = async (request: FastifyRequest): Promise<boolean> => {
    const session = sessions.of(readCookie(request, cookieName), false);
    return session !== null && rights.isAllowed(session.user, 'look');
  };

  const isOurForm = (session: Session, form: URLSearchParams): boolean =>
    isSame(form.get('form') ?? '', session.formToken);

  return {
    isStillIn,
    isOurForm,
    admit: async (request, reply, isUse) => {
      const session = sessions.of(readCookie(request, cookieName), isUse);
      if (session === null) {
        if (request.method === 'GET' && request.headers.accept?.includes('text/html'))
          reply.redirect('/login', 303);
        else reply.code(401).type('text/plain').send('Log in first.\n');
        return null;
      }
      if (await rights.isAllowed(session.user, 'look')) return session;
      sessions.end(readCookie(request, cookieName));
      showLogin(reply, noRightWords(session.user.name, sources.namespace), 403);
      return null;
    },
    add: (app) => {
      app.get('/login', async (_request, reply) => showLogin(reply, null, 200));
      if (pages.login.tokens)
        app.post('/login', async (request, reply) => {
          if (!limits.login(request.ip)) {
            reply.header('retry-after', '60');
            return showLogin(reply, 'Too many attempts from this network: try again in a minute.', 429);
          }
          const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
          const token = readToken(form.get('token') ?? '');
          const user = token === null ? null : await parts.reviewToken(token);
          if (token === null || user === null) {
            log.warn({ address: request.ip }, 'log-in with a token that is not good');
            return showLogin(
              reply,
              'The API server does not know this token: it may be over, cut, or for another audience.',
              401,
            );
          }
          return enter(request, reply, { user, lifeMs: tokenLifeMs(token, clock), by: 'token' });
        });
      app.post('/logout', async (request, reply) => {
        const cookie = readCookie(request, cookieName);
        const session = sessions.of(cookie, false);
        const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
        if (session !== null && isOurForm(session, form)) {
          sessions.end(cookie);
          log.info({ user: session.user.name, address: request.ip }, 'somebody logged out');
        }
        return reply.header('set-cookie', cookieOf('', '; Max-Age=0')).redirect('/login', 303);
      });
      if (oidc !== null) addOidc(app, { oidc, limits, url: parts.url, enter, refuse: showLogin });
    },
  };
}
