/** What needs no server: templates, sessions, remembered rights, queries. */
import fc from 'fast-check';
import t from 'tap';
import { SurfacedError } from '../../daemon/errors.ts';
import { html, linkTo, timeOf } from '../../daemon/web/html.ts';
import { readToken, tokenLifeMs } from '../../daemon/web/login.ts';
import { queryOf, timeIn } from '../../daemon/web/pages/audit-query.ts';
import { Rights, rememberedMs } from '../../daemon/web/rights.ts';
import { numberIn } from '../../daemon/web/routes.ts';
import { Sessions } from '../../daemon/web/sessions.ts';
import type { PageUser } from '../../daemon/web/sources.ts';

const user = (name: string): PageUser => ({ name, uid: '', groups: [], extra: {} });
const clock = { at: 0, now: () => 1_700_000_000_000 + clock.at, monotonic: () => clock.at };

t.test('whatever is put into a template is text, in tags and in quotes', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const { text: made } =
        html`<p title="${text}">${[text, html`<b>${text}</b>`, null, false, undefined]}</p>`;
      const inside = made
        .replace(/^<p title="|<\/p>$/g, '')
        .replace('<b>', '')
        .replace('</b>', '');
      return (
        !/[<']/.test(inside) && inside.split('"').length === 2 && (inside.match(/>/g) ?? []).length === 1
      );
    }),
  );
  t.equal(html`${0}${''}${'&<>"\''}`.text, '0&amp;&lt;&gt;&quot;&#39;');
  t.equal(linkTo('/a', { b: 'c&d=e', f: null, g: '', h: 0 }), '/a?b=c%26d%3De&h=0');
  for (const at of [null, Number.NaN, 1e20]) t.equal(timeOf(at).text, '–');
});

t.test('sessions end when they are unused, at their longest, and when there are too many', async (t) => {
  clock.at = 0;
  const sessions = new Sessions({ idleMs: 100, longestMs: 1000, most: 4, mostOfOneUser: 2 }, clock);
  const cookie = sessions.begin(user('a'), null);
  t.match(sessions.of(cookie, true), { user: { name: 'a' } });
  t.equal(sessions.of(`${cookie}x`, true), null);
  clock.at = 90;
  t.ok(sessions.of(cookie, false), 'a look');
  clock.at = 110;
  t.equal(sessions.of(cookie, true), null, 'does not keep it alive');
  t.equal(sessions.count, 0);
  const used = sessions.begin(user('a'), null);
  for (; clock.at < 1100; clock.at += 50) t.ok(sessions.of(used, true));
  clock.at = 1110;
  t.equal(sessions.of(used, true), null, 'whatever happens');
  const short = sessions.begin(user('a'), 10);
  clock.at += 10;
  t.equal(sessions.of(short, true), null, 'with what they logged in by');

  const many = ['a', 'a', 'a'].map((name) => sessions.begin(user(name), null));
  t.same(
    many.map((each) => sessions.of(each, false) !== null),
    [false, true, true],
    'of one user',
  );
  const others = ['b', 'c', 'd', 'e'].map((name) => sessions.begin(user(name), null));
  t.equal(sessions.count, 4);
  t.ok(others.every((each) => sessions.of(each, false)));
  sessions.end(others[0] ?? '');
  t.equal(sessions.of(others[0] ?? '', false), null);
  const both = [sessions.begin(user('f'), null), sessions.begin(user('f'), null)];
  t.not(sessions.of(both[0] ?? '', false)?.formToken, sessions.of(both[1] ?? '', false)?.formToken);
});

t.test('rights are asked for again after half a minute; an error is never remembered', async (t) => {
  clock.at = 0;
  const answers: (boolean | Error)[] = [true, false, new SurfacedError('E_PAGES_ASK', 'away'), true];
  const asked: string[] = [];
  const rights = new Rights(
    {
      reviewToken: async () => null,
      isAllowed: async ({ name }, right, surface) => {
        asked.push(`${name} ${right} ${surface}`);
        const answer = answers.shift() ?? false;
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    clock,
  );
  t.equal(await rights.isAllowed(user('a'), 'look'), true);
  clock.at = rememberedMs - 1;
  t.equal(await rights.isAllowed(user('a'), 'look'), true);
  t.equal(asked.length, 1);
  clock.at = rememberedMs;
  t.equal(await rights.isAllowed(user('a'), 'look'), false, 'withdrawn');
  clock.at = 2 * rememberedMs;
  await t.rejects(rights.isAllowed(user('a'), 'look'), { code: 'E_PAGES_ASK' });
  t.equal(await rights.isAllowed(user('a'), 'look'), true, 'asked anew at once');
  answers.unshift(false);
  t.equal(await rights.askNow(user('a'), 'look'), false, 'whatever is remembered');
  t.equal(await rights.isAllowed(user('a'), 'look'), false, 'and from then on remembered');
  t.equal(await rights.isAllowed({ ...user('a'), groups: ['x'] }, 'look'), false, 'another person');
  t.equal(await rights.isAllowed(user('a'), 'revoke', 'desk'), false);
  t.equal(asked.at(-1), 'a revoke desk');
});

t.test('queries and tokens, whatever they are', async (t) => {
  t.equal(timeIn('2026-11-24'), Date.parse('2026-11-24T00:00:00Z'));
  t.equal(timeIn('2026-11-24T10:30'), Date.parse('2026-11-24T10:30:00Z'));
  for (const text of [null, '', '2026', '2026-99-99', '2026-11-24T99:99', 'now']) t.equal(timeIn(text), null);
  t.equal(numberIn('7', 1, 5, 1), 5);
  for (const text of [null, '', '-1', '1e3', 'x'.repeat(99)]) t.equal(numberIn(text, 1, 5, 2), 2);
  t.equal(readToken(' Bearer: abc\n def '), 'abcdef');
  for (const text of ['', ' ', 'ä', 'x'.repeat(17_000)]) t.equal(readToken(text), null);
  clock.at = 0;
  const jwt = (claims: unknown) => `a.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c`;
  t.equal(tokenLifeMs(jwt({ exp: clock.now() / 1000 + 60 }), clock), 60_000);
  t.equal(tokenLifeMs(jwt({ exp: 1 }), clock), 0);
  for (const token of ['', 'abc', 'a.b.c', jwt({}), jwt({ exp: 'soon' })])
    t.equal(tokenLifeMs(token, clock), null);
  fc.assert(
    fc.property(fc.string(), fc.string(), (name, value) => {
      const query = queryOf(
        new URLSearchParams([
          [name, value],
          ['text', value],
          ['before', value],
        ]),
        null,
      );
      return query.most === 50 && (query.text?.length ?? 0) <= 100;
    }),
  );
});
