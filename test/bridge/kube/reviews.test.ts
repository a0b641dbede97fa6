/** Answers to the questions about people, whatever an API server says: only a plain yes is one. */
import t from 'tap';
import type { KubeAccess } from '../../../daemon/bridge/kube/access.ts';
import { reviewAccess, reviewToken } from '../../../daemon/bridge/kube/reviews.ts';

const { signal } = new AbortController();
const saying = (status: unknown): KubeAccess => ({
  get: async () => ({}),
  write: async () => ({ status }),
});
const user = { username: 'anna', uid: '7', groups: ['ops', 'system:authenticated'] };

t.test('whose token it is', async (t) => {
  const ask = (status: unknown, audience: string | null) =>
    reviewToken(saying(status), { token: 'x', audience }, signal);
  t.same(await ask({ authenticated: true, user: { ...user, extra: { scope: ['a'] } } }, null), {
    ...{ name: 'anna', uid: '7', groups: user.groups, extra: { scope: ['a'] } },
  });
  t.match(await ask({ authenticated: true, user, audiences: ['other', 'pages'] }, 'pages'), { name: 'anna' });
  const long = 'x'.repeat(1025);
  const groups = ['ops', long];
  t.same(
    (await ask({ authenticated: true, user: { ...user, groups } }, null))?.groups,
    ['ops'],
    'none is cut',
  );
  for (const [why, status, audience] of [
    ['a name that would have to be cut', { authenticated: true, user: { ...user, username: long } }, null],
    ['not authenticated', { user, error: 'no' }, null],
    ['not a plain yes', { authenticated: 'true', user }, null],
    ['nobody', { authenticated: true, user: {} }, null],
    ['nothing', null, null],
    ['for another audience', { authenticated: true, user, audiences: ['other'] }, 'pages'],
    ['by an authenticator that knows nothing of audiences', { authenticated: true, user }, 'pages'],
  ] as const)
    t.equal(await ask(status, audience), null, why);
});

t.test('what somebody may do', async (t) => {
  const question = { namespace: 'a', group: 'b', resource: 'c', subresource: '', name: '', verb: 'get' };
  const anna = { name: 'anna', uid: '', groups: [], extra: {} };
  const ask = (status: unknown) => reviewAccess(saying(status), anna, question, signal);
  t.same(await ask({ allowed: true, reason: 'by a Role' }), { isAllowed: true, reason: 'by a Role' });
  for (const status of [null, {}, { allowed: false }, { allowed: 'true' }, { allowed: true, denied: true }])
    t.equal((await ask(status)).isAllowed, false);
  t.equal((await ask({ allowed: false, evaluationError: 'webhook away' })).reason, 'webhook away');
});
