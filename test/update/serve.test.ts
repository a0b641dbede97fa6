import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { bundleUrl, readRequest, readState } from '../../daemon/update/request.ts';
import { serveRequest } from '../../daemon/update/serve.ts';
import { publish } from '../../daemon/update/standing.ts';
import { manifestSha256, signal, silent, stateIn, surface } from './surface.ts';

const request = {
  action: 'install',
  id: 'r-7',
  version: '1.3.0',
  url: 'https://10.0.2.2:8443/v1/updates/1.3.0.raucb',
  caPem: null,
  manifestSha256,
};

t.test('requests of the device daemon', async (t) => {
  const host = surface(t);
  const file = host.sandbox.at('run/surfaced/update/request.json');
  const ask = (what: unknown): void =>
    writeFileSync(file, typeof what === 'string' ? what : JSON.stringify(what));
  const serve = () => serveRequest(host, silent, signal);
  await serve();
  t.same(host.ran, [], 'no request, nothing done');
  ask(request);
  await serve();
  t.notOk(existsSync(file));
  t.match(stateIn(host), { state: 'installed', version: '1.3.0', id: 'r-7' });
  t.notOk(host.ran.includes('systemctl reboot'), 'not before it is asked for');
  ask({ action: 'restart', id: 'r-8' });
  await serve();
  t.equal(host.ran.at(-1), 'systemctl reboot');

  host.sandbox.boot({ running: 'a', good: 'a', trial: '', left: 0 });
  ask({ action: 'restart', id: 'r-9' });
  await t.rejects(serve(), { code: 'E_UPDATE_REQUEST', message: /no update waits/ });
  t.equal(host.ran.filter((line) => line === 'systemctl reboot').length, 1);
});

t.test('requests that are not taken', async (t) => {
  const wrong: readonly (readonly [what: string, request: unknown, told: RegExp])[] = [
    ['no JSON', '{', /not JSON/],
    ['another action', { ...request, action: 'shell' }, /action/],
    ['more than is known', { ...request, allowDowngrade: true }, /whole: Unrecognized key/],
    ['plain HTTP', { ...request, url: 'http://10.0.2.2/x.raucb' }, /url: an https URL/],
    ['a file', { ...request, url: 'file:///etc/passwd' }, /url/],
    ['an option', { ...request, url: '--tls-no-verify' }, /url/],
    ['a password in the URL', { ...request, url: 'https://a:b@host/x' }, /url/],
    ['two lines', { ...request, url: 'https://host/x\nhttps://other' }, /url/],
    [
      'a key for a CA',
      { ...request, caPem: '-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n' },
      /caPem/,
    ],
    ['too long', { ...request, id: 'x'.repeat(70_000) }, /more than 65536 bytes/],
  ];
  for (const [what, asked, told] of wrong) {
    const host = surface(t);
    const file = host.sandbox.at('run/surfaced/update/request.json');
    writeFileSync(file, typeof asked === 'string' ? asked : JSON.stringify(asked));
    await t.rejects(serveRequest(host, silent, signal), { code: 'E_UPDATE_REQUEST', message: told }, what);
    t.notOk(existsSync(file), `${what}: taken away, or it would be served for ever`);
    t.match(stateIn(host), { state: 'idle', code: 'E_UPDATE_REQUEST' }, what);
    t.same(host.ran, [], what);
  }
});

t.test('a folder in place of a request is put aside, and nothing behind its links is touched', async (t) => {
  const host = surface(t);
  const { sandbox } = host;
  const file = sandbox.at('run/surfaced/update/request.json');
  mkdirSync(`${file}/inside`, { recursive: true });
  symlinkSync(sandbox.at('etc'), `${file}/etc`);
  await t.rejects(serveRequest(host, silent, signal), { code: 'E_UPDATE_REQUEST' });
  t.notOk(existsSync(file), 'or it would be served for ever');
  t.ok(existsSync(sandbox.at('etc/os-release')));
  const [aside = ''] = readdirSync(sandbox.at('run/surfaced-update'));
  t.match(aside, /^refused-/);
  t.same(readdirSync(sandbox.at(`run/surfaced-update/${aside}`)).sort(), ['etc', 'inside'], 'as it was');
});

t.test('what is no file is not waited for, and no link is followed', async (t) => {
  const host = surface(t);
  const file = host.sandbox.at('run/surfaced/update/request.json');
  execFileSync('mkfifo', [file]);
  await t.rejects(readRequest(file), { code: 'E_UPDATE_REQUEST', message: /not a regular file/ });
  const link = `${file}.link`;
  symlinkSync(host.sandbox.at('etc/os-release'), link);
  await t.rejects(readRequest(link), { code: 'E_UPDATE_REQUEST', message: /ELOOP/ });
  mkdirSync(`${file}.folder`);
  await t.rejects(readRequest(`${file}.folder`), { code: 'E_UPDATE_REQUEST' });
  t.equal(await readRequest(`${file}.none`), null);
});

t.test('a state is written whole, over whatever is in its place', async (t) => {
  const host = surface(t);
  const file = host.sandbox.at('run/surfaced/update/state.json');
  symlinkSync(host.sandbox.at('etc/os-release'), file);
  const was = host.sandbox.read('etc/os-release');
  const state = { state: 'idle', version: null, detail: 'x', progress: null, code: null, id: null } as const;
  await publish(host, state);
  t.same(await readState(file), state);
  t.equal(host.sandbox.read('etc/os-release'), was, 'a link that somebody put there was not written through');
  t.same(readdirSync(host.sandbox.at('run/surfaced/update')), ['state.json']);
});

t.test('addresses', async (t) => {
  for (const good of [
    'https://gateway.example/x',
    'https://[::1]:8443/v1/updates/1.0.0.raucb',
    'https://10.0.2.2:1/',
  ])
    t.ok(bundleUrl.safeParse(good).success, good);
  for (const bad of [
    'HTTPS://x/',
    'https:///x',
    'https://x/?a#b',
    'https://x/ y',
    'https://x:99999/',
    'ftp://x',
    '',
  ])
    t.notOk(bundleUrl.safeParse(bad).success, bad);
});
