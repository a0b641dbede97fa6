import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { confirmTrial, showStatus } from '../../daemon/commands/update.ts';
import { installUpdate } from '../../daemon/update/install.ts';
import { readStanding, stateOf } from '../../daemon/update/standing.ts';
import { FakeHost } from '../update/fake-host.ts';

const signal = new AbortController().signal;
const rootHash = 'ab'.repeat(32);

/** A surface that came from 1.2.0 in slot a to 1.3.0 in slot b, as RAUC has kept it. */
function surface(t: Test): FakeHost {
  const host = new FakeHost('1.2.0');
  t.teardown(() => host.end());
  const slot = (bootname: string, kept: object) => ({
    [`rootfs.${bootname}`]: { bootname, slot_status: kept },
  });
  const installed = {
    bundle: { version: '1.3.0' },
    status: 'ok',
    installed: { timestamp: '2027-06-01T00:00:00Z' },
  };
  const slots = [slot('a', {}), slot('b', installed)];
  host.answers.set('rauc status', () => ({ stdout: JSON.stringify({ slots }) }));
  return host;
}

/** The same after the installation, in one of the states that follow it. */
function updated(t: Test, state: 'waits' | 'trial' | 'stays' | 'left'): FakeHost {
  const host = surface(t);
  const { sandbox } = host;
  const last = { version: '1.3.0', rootHash, slot: 'b', from: '1.2.0' };
  writeFileSync(sandbox.at('data/shared/update/last-update.json'), JSON.stringify(last));
  if (state === 'trial' || state === 'stays') sandbox.runs('1.3.0', rootHash);
  sandbox.boot(
    {
      waits: { running: 'a', good: 'a', trial: 'b', left: 3 },
      trial: { running: 'b', good: 'a', trial: 'b', left: 2 },
      stays: { running: 'b', good: 'b', trial: '', left: 0 },
      left: { running: 'a', good: 'a', trial: '', left: 0 },
    }[state] as Parameters<typeof sandbox.boot>[0],
  );
  return host;
}

t.test('status, in words', async (t) => {
  t.equal(
    await showStatus(surface(t), 'text', signal),
    `running  1.2.0 from slot a
update   none yet
slot a   nothing that an update has written
slot b   1.3.0, installed 2027-06-01T00:00:00Z
`,
  );
  const words = {
    waits: ['1.2.0 from slot a', '1.3.0 installed, waits for a restart'],
    trial: ['1.3.0 from slot b', '1.3.0 runs on trial'],
    stays: ['1.3.0 from slot b', '1.3.0 runs and stays'],
    left: ['1.2.0 from slot a', '1.3.0 was left again: it did not come up, and the boot loader went back'],
  } as const;
  for (const [state, [running, update]] of Object.entries(words)) {
    const text = await showStatus(updated(t, state as keyof typeof words), 'text', signal);
    t.match(text, `running  ${running}\nupdate   ${update}\n`, state);
  }
});

t.test('a data partition that was made anew, or is that of another card, hides no trial', async (t) => {
  for (const [state, told, text] of [
    ['trial', { state: 'trial', version: '1.3.0' }, 'update   1.3.0 runs on trial\n'],
    ['waits', { state: 'installed', version: null }, 'update   one is installed, waits for a restart\n'],
    ['stays', { state: 'idle', version: null }, 'update   none yet\n'],
  ] as const) {
    const host = updated(t, state);
    const note = host.sandbox.at('data/shared/update/last-update.json');
    const { slot } = (await readStanding(host, signal)).running;
    const others = { version: '1.9.0', rootHash: 'cd'.repeat(32), slot, from: '1.8.0' };
    for (const change of [() => rmSync(note), () => writeFileSync(note, JSON.stringify(others))]) {
      change();
      t.match(stateOf(await readStanding(host, signal)), told, state);
      t.match(await showStatus(host, 'text', signal), text, state);
    }
  }
});

t.test('status, as data; a slot that is being written; no RAUC', async (t) => {
  const host = updated(t, 'trial');
  t.match(JSON.parse(await showStatus(host, 'json', signal)), {
    running: { version: '1.3.0', slot: 'b', rootHash },
    pending: 'trial',
    outcome: 'trial',
    reason: null,
    last: { version: '1.3.0', from: '1.2.0' },
    slots: [
      { name: 'a', version: null },
      { name: 'b', version: '1.3.0', isWhole: true },
    ],
  });
  const half = { bootname: 'a', slot_status: { bundle: { version: '1.4.0' }, status: 'pending' } };
  host.answers.set('rauc status', () => ({ stdout: JSON.stringify({ slots: [{ 'rootfs.0': half }] }) }));
  t.match(await showStatus(host, 'text', signal), 'slot a   1.4.0, installed some time, not whole\n');
  host.answers.set('rauc status', () => ({ code: 1, text: 'no service' }));
  await t.rejects(showStatus(host, 'text', signal), { code: 'E_UPDATE_SYSTEM', message: /no service/ });
});

t.test('confirm ends a trial, is told to the daemon, and lets the next update come', async (t) => {
  const host = updated(t, 'trial');
  t.equal(await confirmTrial(host, signal), '1.3.0 stays');
  t.match(host.sandbox.read('boot-state'), 'good=b trial= ');
  const state = () => JSON.parse(readFileSync(host.sandbox.at('run/surfaced/update/state.json'), 'utf8'));
  t.match(state(), { state: 'idle', version: null });
  t.match(await showStatus(host, 'text', signal), 'update   1.3.0 runs and stays\n');
  t.equal(await confirmTrial(host, signal), '1.3.0 is not on trial', 'once more does no harm');
  host.answers.set('rauc info', () => ({ code: 1, text: 'No such file: x' }));
  const order = {
    place: '/x',
    caPem: null,
    version: null,
    manifestSha256: null,
    mayBeOlder: false,
    requestId: null,
  };
  await t.rejects(
    installUpdate(host, order, () => undefined, signal),
    { code: 'E_UPDATE_SOURCE' },
    'it is looked at, not refused',
  );
});

t.test('confirm changes nothing where there is no trial, and says what it cannot do', async (t) => {
  for (const state of ['waits', 'stays', 'left'] as const) {
    const host = updated(t, state);
    const before = host.sandbox.read('boot-state');
    t.match(await confirmTrial(host, signal), 'is not on trial', state);
    t.equal(host.sandbox.read('boot-state'), before, state);
  }
  const host = updated(t, 'trial');
  writeFileSync(
    host.sandbox.at('usr/lib/surfaced/boot-state'),
    '#!/bin/sh\necho the card is gone >&2\nexit 1\n',
  );
  await t.rejects(confirmTrial(host, signal), { code: 'E_UPDATE_SYSTEM', message: /the card is gone/ });
  writeFileSync(host.sandbox.at('run/surfaced/boot/slot'), 'c\n');
  await t.rejects(showStatus(host, 'text', signal), { code: 'E_UPDATE_SYSTEM', message: /boot\/slot/ });
});
