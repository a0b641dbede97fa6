/** Log-in by a provider: through a real browser, and with everything that can be wrong about what it answers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { userOf } from '../../daemon/web/oidc.ts';
import { type SimOidc, startSimOidc } from '../../hil/sim/oidc/provider.ts';
import { noChromium } from '../chromium.ts';
import { allow, openBrowser, type Site, site, visitor } from './rig.ts';

const people = {
  anna: { groups: ['operators', 'system:masters'], email: 'anna@shop.example' },
  'system:admin': { groups: [] },
  bert: { groups: ['system:masters'] },
};

/** A provider, and a gateway that knows it. */
async function sites(t: Test, clientSecret: string | null): Promise<{ provider: SimOidc; place: Site }> {
  const provider = await startSimOidc({ clientId: 'pages', clientSecret, people });
  t.teardown(() => provider.close());
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-oidc-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(path.join(folder, 'ca.pem'), provider.caPem);
  await writeFile(path.join(folder, 'secret'), `${clientSecret ?? ''}\n`);
  const secretFile = clientSecret === null ? '' : `clientSecretFile: ${folder}/secret, `;
  const place = await site(t, {
    login: `{ oidc: { issuer: '${provider.issuer}', clientId: pages, ${secretFile}caFile: ${folder}/ca.pem, usernamePrefix: 'oidc:' } }`,
  });
  allow(place.cluster, 'oidc:anna', ['get'], 'controlsurfaces');
  return { provider, place };
}

t.test('by a provider in a browser', { skip: noChromium, timeout: 120_000 }, async (t) => {
  const { provider, place } = await sites(t, 'a secret of the client');
  const { url } = place;
  const browser = await openBrowser(t);
  const { page, context, complaints } = await visitor(t, browser);
  const begin = async (who: string): Promise<void> => {
    await page.goto(`${url}/login`);
    t.equal(await page.getByLabel('Token').count(), 0, 'tokens are not offered');
    await page.getByRole('link', { name: 'Log in at localhost' }).click();
    await page.getByRole('link', { name: `Log in as ${who}`, exact: true }).click();
  };

  await begin('anna');
  await page.waitForURL(`${url}/surfaces`);
  t.match(await page.locator('.who').textContent(), /oidc:anna/);
  t.equal(provider.exchanged, 1);
  const cookies = await context.cookies();
  t.match(
    cookies.filter(({ name }) => name.startsWith('__Host-surfaced')),
    [{ name: '__Host-surfaced', httpOnly: true, secure: true, sameSite: 'Strict' }],
    'the one of the log-in is gone',
  );
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.waitForURL(`${url}/login`);

  await begin('bert');
  t.match(
    await page.getByRole('alert').textContent(),
    /You are oidc:bert.*does not let you look/,
    'whom nobody gave rights, whatever groups the provider says',
  );
  t.same(
    complaints.filter((text) => !/status of 403/.test(text)),
    [],
  );

  for (const fault of [
    'nonce',
    'signature',
    'audience',
    'issuer',
    'expired',
    'token-endpoint-away',
  ] as const) {
    provider.fault = fault;
    await begin('anna');
    t.match(await page.getByRole('alert').textContent(), /the provider did not confirm the log-in/, fault);
    const { status } = {
      status: (await context.request.get(`${url}/surfaces`, { maxRedirects: 0 })).status(),
    };
    t.ok(status === 303 || status === 401, `${fault}: nobody is in`);
  }
  provider.fault = null;

  // Somebody else's answer does not log me in (RFC 6749, section 10.12).
  const { page: other, context: theirs } = await visitor(t, browser);
  await other.goto(`${url}/login/oidc`);
  const link = await other.getByRole('link', { name: 'Log in as anna' }).getAttribute('href');
  const stopped = await theirs.request.get(new URL(link ?? '', provider.issuer).href, { maxRedirects: 0 });
  const answer = stopped.headers().location ?? '';
  t.match(answer, /\/login\/oidc\/callback\?code=/);
  await page.goto(answer);
  t.match(await page.getByRole('alert').textContent(), /was not begun here/);
  await other.goto(answer.replace(/state=[^&]+/, 'state=another'));
  t.match(await other.getByRole('alert').textContent(), /did not confirm/, 'another state');
});

t.test('without a secret, and with a provider that is away', async (t) => {
  const { provider, place } = await sites(t, null);
  await provider.close();
  const { request } = await import('node:https');
  const { port, host } = new URL(place.url);
  const text = await new Promise<string>((resolve, reject) => {
    const asking = request(
      {
        host: '127.0.0.1',
        port,
        path: '/login/oidc',
        headers: { host },
        rejectUnauthorized: false,
        agent: false,
      },
      (response) => {
        let body = '';
        response.on('data', (chunk) => (body += String(chunk)));
        response.on('end', () => resolve(`${response.statusCode} ${body}`));
      },
    );
    asking.once('error', reject);
    asking.end();
  });
  t.match(text, /^401 .*the provider cannot be asked/s);
});

t.test('names and groups by claims', async (t) => {
  const config = { usernameClaim: 'sub', usernamePrefix: '', groupsClaim: 'groups', groupsPrefix: '' };
  t.same(userOf({ sub: 'a', groups: ['x', 'system:masters', 7, ''] }, config), {
    ...{ name: 'a', uid: '', extra: {} },
    groups: ['x', 'system:authenticated'],
  });
  t.same(userOf({ sub: 'a', groups: 'one' }, { ...config, groupsPrefix: 'g:' }).groups, [
    'g:one',
    'system:authenticated',
  ]);
  for (const claims of [{}, { sub: '' }, { sub: 7 }, { sub: 'x'.repeat(600) }, { sub: 'system:admin' }])
    t.throws(() => userOf(claims, config), { code: 'E_PAGES_OIDC' });
  t.throws(() => userOf({ sub: 'masters' }, { ...config, usernamePrefix: 'system:' }), {
    code: 'E_PAGES_OIDC',
  });
  const byMail = { ...config, usernameClaim: 'email' };
  for (const email_verified of [false, 'false', 'true', null, 0])
    t.throws(() => userOf({ email: 'a@b', email_verified }, byMail), /not verified/, `${email_verified}`);
  t.equal(userOf({ email: 'a@b' }, byMail).name, 'a@b', 'as an API server takes it');
  t.equal(userOf({ email: 'a@b', email_verified: true }, byMail).name, 'a@b');
});
