import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { judgeTrial, limitMs, steadyMs } from '../../daemon/update/health.ts';
import { findProblems, keepProblems } from '../../daemon/update/self-tests.ts';
import { FakeHost } from './fake-host.ts';

const signal = new AbortController().signal;
const device = `apiVersion: surfaced.dev/v1alpha1
kind: Device
metadata: { name: desk }
spec:
`;

/** A surface that runs 1.3.0 on trial from slot b. */
function onTrial(t: Test, isConfigured = true): FakeHost {
  const host = new FakeHost('1.3.0');
  t.teardown(() => host.end());
  const { sandbox } = host;
  sandbox.runs('1.3.0', 'ab'.repeat(32));
  sandbox.boot({ running: 'b', good: 'a', trial: 'b', left: 2 });
  const last = { version: '1.3.0', rootHash: 'ab'.repeat(32), slot: 'b', from: '1.2.0' };
  writeFileSync(sandbox.at('data/shared/update/last-update.json'), JSON.stringify(last));
  if (isConfigured) {
    mkdirSync(sandbox.at('etc/surfaced'));
    writeFileSync(sandbox.at('etc/surfaced/device.yaml'), device);
    // Whatever is wrong with the file was so before.
    writeFileSync(sandbox.at('data/shared/update/before.json'), '["tpm"]');
  }
  daemon(host, { ActiveState: 'active', InvocationID: '1', StatusText: 'panel: open' });
  return host;
}
const daemon = (host: FakeHost, unit: Record<string, string>): void => {
  const stdout = Object.entries(unit).map(([name, value]) => `${name}=${value}\n`);
  host.answers.set('systemctl show', () => ({ stdout: stdout.join('') }));
};
const kept = (host: FakeHost, name: string) =>
  JSON.parse(host.sandbox.read(`data/shared/update/${name}.json`));

t.test('a daemon that runs for a minute makes the update stay', async (t) => {
  const host = onTrial(t);
  t.equal(await judgeTrial(host, signal), null);
  t.ok(host.now >= steadyMs && host.now < 1.2 * steadyMs, `after ${host.now} ms`);
  t.equal(host.sandbox.trial(), 'none');
  t.match(host.sandbox.read('boot-state'), 'good=b trial= ');
  t.match(JSON.parse(host.sandbox.read('run/surfaced/update/state.json')), { state: 'idle' });
  t.notOk(host.ran.includes('systemctl reboot'));
  t.notOk(
    host.ran.some((line) => /ping|curl|resolve|network/.test(line)),
    'nothing asks the network',
  );
});

t.test('every restart of the daemon begins the minute anew', async (t) => {
  const host = onTrial(t);
  host.onSleep = () => {
    if (host.now < 100_000)
      daemon(host, {
        ActiveState: 'active',
        InvocationID: String(Math.floor(host.now / 50_000)),
        StatusText: '',
      });
  };
  t.equal(await judgeTrial(host, signal), null);
  t.ok(host.now >= 50_000 + steadyMs, `after ${host.now} ms`);
});

t.test('a daemon that never stays up is given up in time', async (t) => {
  const host = onTrial(t);
  let invocation = 0;
  host.onSleep = () => {
    invocation += 1;
    daemon(host, { ActiveState: 'active', InvocationID: String(invocation), StatusText: '' });
  };
  t.match(await judgeTrial(host, signal), /did not run for 60 s/);
  t.ok(host.now >= limitMs && host.now < limitMs + 10_000);
  t.equal(host.ran.at(-1), 'systemctl reboot');
  t.match(host.sandbox.read('boot-state'), 'good=a trial= ', 'the other slot it is');
  t.match(kept(host, 'last-failure'), { version: '1.3.0', reason: /did not run/ });
});

t.test('what is worse than before the update gives it up', async (t) => {
  const cases: readonly (readonly [what: string, worsen: (host: FakeHost) => void, reason: RegExp])[] = [
    [
      'no daemon',
      (host) => daemon(host, { ActiveState: 'activating', InvocationID: '1', StatusText: '' }),
      /device: the device daemon/,
    ],
    [
      'no panel',
      (host) =>
        daemon(host, {
          ActiveState: 'active',
          InvocationID: '1',
          StatusText: 'panel not ok: no such port; link: up',
        }),
      /panel: panel not ok: no such port$/,
    ],
    [
      'a unit that failed',
      (host) =>
        host.answers.set('systemctl list-units', () => ({
          stdout: 'iwd.service loaded failed failed Wireless\n',
        })),
      /unit iwd.service: failed/,
    ],
    ['no TPM', (host) => writeFileSync(host.sandbox.at('data/shared/update/before.json'), '[]'), /tpm: /],
  ];
  for (const [what, worsen, reason] of cases) {
    const host = onTrial(t);
    worsen(host);
    t.match(await judgeTrial(host, signal), reason, what);
    t.equal(host.ran.at(-1), 'systemctl reboot', what);
  }
});

t.test('what was wrong before need not be right now', async (t) => {
  const host = onTrial(t);
  host.answers.set('systemctl list-units', () => ({ stdout: 'iwd.service loaded failed failed Wireless\n' }));
  daemon(host, { ActiveState: 'active', InvocationID: '1', StatusText: 'panel not ok: unplugged; link: up' });
  await keepProblems(host, await findProblems(host, signal));
  t.equal(await judgeTrial(host, signal), null);
});

t.test('a bad stick, or a gateway that is away, says nothing against the version that runs', async (t) => {
  const host = onTrial(t);
  const units = ['surfaced-usb-update@sda1.service', 'surfaced-update.service'];
  host.answers.set('systemctl list-units', () => ({
    stdout: units.map((unit) => `${unit} loaded failed failed x\n`).join(''),
  }));
  t.equal(await judgeTrial(host, signal), null);
});

t.test('a problem that passes within the time is none', async (t) => {
  const host = onTrial(t);
  daemon(host, { ActiveState: 'active', InvocationID: '1', StatusText: 'panel not ok: opens' });
  host.onSleep = () => {
    if (host.now > 200_000)
      daemon(host, { ActiveState: 'active', InvocationID: '1', StatusText: 'panel: open' });
  };
  t.equal(await judgeTrial(host, signal), null);
});

t.test('a card that nobody has set up has no daemon to wait for', async (t) => {
  const host = onTrial(t, false);
  daemon(host, { ActiveState: 'inactive', InvocationID: '', StatusText: '' });
  t.equal(await judgeTrial(host, signal), null);
});

t.test('a data partition that cannot be written: given up, and marked so all the same', async (t) => {
  const host = onTrial(t);
  rmSync(host.sandbox.at('data/shared/update'), { recursive: true });
  writeFileSync(host.sandbox.at('data/shared/update'), '');
  await t.rejects(judgeTrial(host, signal), { code: 'ENOTDIR' });
  t.match(host.sandbox.read('boot-state'), 'good=a trial= ');
  t.equal(host.ran.at(-1), 'systemctl reboot');
});

t.test('what somebody has confirmed meanwhile is not given up', async (t) => {
  const host = onTrial(t);
  daemon(host, { ActiveState: 'active', InvocationID: '1', StatusText: 'panel not ok: gone' });
  host.onSleep = () => {
    if (host.now > 100_000) host.sandbox.boot({ running: 'b', good: 'b', trial: '', left: 0 });
  };
  t.equal(await judgeTrial(host, signal), null);
  t.match(host.sandbox.read('boot-state'), 'good=b trial= ');
  t.notOk(host.ran.includes('systemctl reboot'));
});

t.test('nothing on trial: nothing is judged', async (t) => {
  const host = onTrial(t);
  host.sandbox.boot({ running: 'b', good: 'b', trial: '', left: 0 });
  daemon(host, { ActiveState: 'failed', InvocationID: '1', StatusText: '' });
  t.equal(await judgeTrial(host, signal), null);
  t.equal(host.now, 0);
  t.same(host.ran, []);
  t.notOk(existsSync(host.sandbox.at('data/shared/update/last-failure.json')));
});
