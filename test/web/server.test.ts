/** The pages' server as something that is no browser meets it: headers, forms that are not ours, bounds, rights that go. */

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { liveLimits } from '../../daemon/web/live.ts';
import { ask, form, logIn, open } from './http.ts';
import { allow, site, tokens } from './rig.ts';

t.test('every answer has its headers, and cookies are as strict as they get', async (t) => {
  const place = await site(t);
  for (const path of ['/login', '/surfaces', '/assets/pages.css', '/assets/../gateway.yaml', '/nothing']) {
    const { headers } = await ask(place, path);
    const policy = String(headers['content-security-policy']);
    t.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'.*frame-ancestors 'none'/, path);
    t.notMatch(policy, /unsafe|\*|data:|http/);
    t.match(headers, {
      'strict-transport-security': /max-age=31536000/,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'same-origin',
    });
  }
  const { headers, text } = await ask(place, '/login', form(place, { token: tokens.viewer }));
  t.match(headers['set-cookie'], [/^__Host-surfaced=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/]);
  t.notMatch(
    text,
    /<script(?! type="module" src="\/assets\/)|<style|style=|\son\w+=|javascript:|https?:\/\//,
    'nothing inline',
  );
  t.match(await ask(place, '/assets/nothing'), { status: 404 });
  for (const path of ['/surfaces/%zz', `/surfaces/${'a'.repeat(300)}`])
    t.match(
      await ask(place, path, { headers: { host: 'evil.example' } }),
      { status: 404, text: 'There is no such page.\n', headers: { 'x-content-type-options': 'nosniff' } },
      'an address that is none',
    );
  const cookie = String(headers['set-cookie']).split(';')[0] ?? '';
  t.match(
    await ask(place, '/events?surfaces=desk', { method: 'HEAD', headers: { cookie } }),
    { status: 404 },
    'a stream has no head alone',
  );
});

t.test('no page without log-in', async (t) => {
  const place = await site(t);
  for (const path of [
    '/',
    '/surfaces',
    '/surfaces/desk',
    '/surfaces/desk/evidence',
    '/approvals',
    '/bindings',
    '/commands',
    '/audit',
    '/audit/verification',
    '/nothing',
  ])
    t.match(await ask(place, path), { status: 303, headers: { location: /^\/(?:login|surfaces)$/ } }, path);
  for (const path of ['/events?surfaces=desk', '/audit/verification'])
    t.match(await ask(place, path, { headers: { accept: '*/*' } }), { status: 401 }, path);
  for (const path of ['/approvals/abc', '/surfaces/desk/revoke', '/audit/verification'])
    t.match(
      await ask(place, path, form(place, { form: 'x' }, { headers: { accept: '*/*' } })),
      { status: 401 },
      path,
    );
  const cookie = `__Host-surfaced=${'A'.repeat(43)}`;
  t.match(
    await ask(place, '/surfaces', { headers: { cookie } }),
    { status: 303 },
    'a cookie that was made up',
  );
});

t.test('only forms of our own pages count', async (t) => {
  const place = await site(t);
  const { cookie, formToken } = await logIn(place, tokens.operator);
  const revoke = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    ask(
      place,
      '/surfaces/desk/revoke',
      form(place, { confirm: 'desk', revoked: 'yes', ...fields }, { headers: { cookie, ...headers } }),
    );
  for (const [why, headers] of [
    ['another site', { origin: 'https://evil.example' }],
    ['no site', { origin: 'null' }],
    ['another scheme', { origin: place.url.replace('https', 'http') }],
    ['another page of the same host name', { 'sec-fetch-site': 'same-site' }],
    ['a foreign page', { 'sec-fetch-site': 'cross-site' }],
  ] as const)
    t.match(await revoke({ form: formToken }, headers), { status: 403, text: /not from a page/ }, why);
  t.match(await revoke({}), { status: 403, text: /too old/ }, 'without its secret');
  t.match(await revoke({ form: `${formToken}x` }), { status: 403 }, 'with another');
  const second = await logIn(place, tokens.operator);
  t.match(await revoke({ form: second.formToken }), { status: 403 }, 'with that of another session');
  t.match(
    await ask(place, '/surfaces/desk/revoke', { headers: { cookie } }),
    { status: 404 },
    'not by an address',
  );
  await revoke({ form: formToken, revoked: 'perhaps' });
  t.match(await ask(place, '/surfaces/desk', { headers: { cookie } }), {
    text: /does not say what is wanted/,
  });
  t.match(await revoke({ form: formToken }), { status: 303, headers: { location: '/surfaces/desk' } });
  t.match(await ask(place, '/surfaces/desk', { headers: { cookie } }), { text: /desk is revoked/ });
  t.match(
    await ask(place, '/login', {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json', origin: place.url },
    }),
    {
      status: 415,
    },
  );
});

t.test('what a viewer sends is refused, whatever the page has shown', async (t) => {
  const place = await site(t);
  const { cookie, formToken } = await logIn(place, tokens.viewer);
  const send = (path: string, fields: Record<string, string>) =>
    ask(place, path, form(place, { form: formToken, ...fields }, { headers: { cookie } }));
  await send('/surfaces/desk/revoke', { confirm: 'desk', revoked: 'yes' });
  t.match(await ask(place, '/surfaces/desk', { headers: { cookie } }), {
    text: /Refused:.*this needs update controlsurfaces/,
  });
  await send(`/approvals/${'ab'.repeat(32)}`, { decision: 'approve', code: '12345678', name: 'mine' });
  t.match(await ask(place, '/approvals', { headers: { cookie } }), {
    text: /Refused:.*this needs update surfacerequests/,
  });
});

t.test('another name, too much of anything, and too often', async (t) => {
  const place = await site(t);
  t.match(await ask(place, '/login', { headers: { host: 'evil.example' } }), {
    status: 421,
    text: new RegExp(place.url),
  });
  t.match(await ask(place, '/login', form(place, { token: 'x'.repeat(40_000) })), { status: 413 });
  const { cookie } = await logIn(place, tokens.viewer);
  const streams: IncomingMessage[] = [];
  for (let count = 0; count < liveLimits.streamsOfOneUser; count++)
    streams.push(await open(place, '/events?surfaces=desk', { headers: { cookie } }));
  t.same(new Set(streams.map(({ statusCode }) => statusCode)), new Set([200]));
  t.match(await ask(place, '/events?surfaces=desk', { headers: { cookie } }), { status: 503 });
  for (const stream of streams) stream.destroy();
  let refused = 0;
  for (let count = 0; count < 40; count++)
    if ((await ask(place, '/login', form(place, { token: 'wrong' }))).status === 429) refused++;
  t.ok(refused >= 3, `${refused} of 40 attempts were too many`);
});

t.test('an address of IPv6 as the first host', async (t) => {
  const place = await site(t, { more: ", hosts: ['::1']" });
  t.match(place.url, /^https:\/\/\[::1\]:\d+$/);
  t.match(await ask(place, '/login'), { status: 200 });
});

t.test('connections that only stand there keep nobody out', async (t) => {
  const place = await site(t);
  const { port } = new URL(place.url);
  const idle: Socket[] = [];
  t.teardown(() => {
    for (const socket of idle) socket.destroy();
  });
  for (let count = 0; count < 540; count++) {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => {});
    idle.push(socket);
    await once(socket, 'connect');
  }
  t.match(await ask(place, '/login'), { status: 200 });
});

t.test('a gateway without the rights to ask lets nobody in, and says what it needs', async (t) => {
  const place = await site(t);
  const { cookie, formToken } = await logIn(place, tokens.operator);
  const { text: shown } = await ask(place, '/surfaces/desk', { headers: { cookie } });
  t.match(shown, /id="confirm"/, 'they may revoke, and that is remembered');
  place.cluster.control.failNext(50, 403, null);
  const { status, text } = await ask(place, '/login', form(place, { token: tokens.viewer }));
  t.equal(status, 503);
  t.match(text, /cannot be asked whose token this is/);
  t.match(
    await ask(place, '/surfaces', { headers: { cookie } }),
    { status: 200 },
    'an answer counts for half a minute',
  );
  const fields = { form: formToken, confirm: 'desk', revoked: 'yes' };
  const revoked = await ask(place, '/surfaces/desk/revoke', form(place, fields, { headers: { cookie } }));
  t.match(revoked, { status: 503, text: /cannot be asked what you may do/ }, 'but for nothing that is done');
});

t.test('tokens for another audience, and what a token says of its end', async (t) => {
  const place = await site(t, { login: '{ tokens: { audience: surfaced-pages } }' });
  t.match(await ask(place, '/login', form(place, { token: tokens.operator })), { status: 401 });
  const claims = (exp: number) => Buffer.from(JSON.stringify({ exp })).toString('base64url');
  const add = (token: string): string => {
    place.cluster.control.addToken(token, 'olga', []);
    return token;
  };
  const good = add(`head.${claims(Date.now() / 1000 + 600)}.mark@surfaced-pages`);
  t.match(await ask(place, '/login'), { text: /kubectl create token NAME --audience surfaced-pages/ });
  const { cookie } = await logIn(place, good);
  t.match(await ask(place, '/surfaces', { headers: { cookie } }), { status: 200 });
  const over = add(`head.${claims(Date.now() / 1000 - 1)}.mark@surfaced-pages`);
  const { headers } = await ask(place, '/login', form(place, { token: over }));
  const late = headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  t.match(
    await ask(place, '/surfaces', { headers: { cookie: late } }),
    { status: 303 },
    'the session has ended with it',
  );
});

t.test('whoever may list may not look yet', async (t) => {
  const place = await site(t);
  allow(place.cluster, 'somebody', ['list'], 'controlsurfaces');
  place.cluster.control.addToken('token-of-somebody', 'somebody', []);
  t.match(
    await ask(place, '/login', form(place, { token: 'token-of-somebody' })),
    { status: 403 },
    'list is not get',
  );
});
