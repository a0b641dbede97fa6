/** What panels and bindings say of surfaces that are not as usual. */
import t from 'tap';
import { approvalPages } from '../../daemon/web/pages/approvals.ts';
import { bindingPages } from '../../daemon/web/pages/bindings.ts';
import { panelOf } from '../../daemon/web/panel.ts';
import type { Visit } from '../../daemon/web/routes.ts';
import type { KnownSurface, PageSources } from '../../daemon/web/sources.ts';

const target = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' };

const surface = (more: object): KnownSurface =>
  ({
    ...{ name: 'desk', isRevoked: false, assertedLevel: null, policy: null, trust: null, view: null },
    ...{ lastCommands: new Map(), ...more },
  }) as unknown as KnownSurface;

const slot = {
  slot: 0,
  binding: { control: 'fader1', bank: 0, max: 9, target },
  body: {
    ...{ name: 'cart', colour: 'green', desired: 3, observed: 3, ready: 3, pods: [], podsLeftOut: 0 },
    ...{ owner: null, condition: { state: 'ok', reason: '', message: '' } },
  },
};

t.test('what was asked of another target is not told of the one that has its place now', async (t) => {
  const view = { isOnline: true, controls: [], problems: [], slots: [slot] };
  const asked = (of: object): string =>
    panelOf(
      surface({
        view,
        lastCommands: new Map([[0, { target: of, want: 7, phase: 'converged', endedAt: 0 }]]),
      }),
    ).text;
  t.match(asked({ ...target }), /last asked: 7, converged/);
  for (const other of [
    { name: 'web' },
    { namespace: 'test' },
    { kind: 'StatefulSet' },
    { apiVersion: 'x/v1' },
  ])
    t.notMatch(asked({ ...target, ...other }), /last asked/);
});

t.test('a surface of another gateway is not said to have no bindings', async (t) => {
  const sources = { names: () => ['desk'], surface: () => surface({}), bindingRights: async () => [] };
  const [route] = bindingPages({ sources: sources as unknown as PageSources });
  const answer = await route?.answer({ query: new URLSearchParams() } as unknown as Visit);
  const words = JSON.stringify(answer);
  t.match(words, /This gateway does not serve it now/);
  t.notMatch(words, /Nothing is bound/);
});

t.test('a certificate cannot say of itself that it is good', async (t) => {
  const certificate = 'CN=leads to one of your roots: issuer: is not among them';
  const waiting = { ekSha256: 'ab', pairingCode: '1234-5678', firstSeenAt: 0, lastSeenAt: 0, certificate };
  const sources = { waiting: () => [waiting], names: () => [], policies: () => [], levelSentence: () => '' };
  for (const route of approvalPages({ sources: sources as unknown as PageSources }).slice(0, 2)) {
    const visit = { params: { key: 'ab' }, viewer: { mayApprove: true, formToken: '' } };
    const words = JSON.stringify(await route.answer(visit as unknown as Visit));
    t.match(words, /<dd><b>does not lead to one of your roots<.b>: CN=leads/, route.path);
  }
});
