/** A surface without a clock: it neither trusts whoever shows a certificate, nor stays outside because of its own time. */
import t, { type Test } from 'tap';
import { loadAuthority } from '../../../daemon/attest/authority/ca.ts';
import { createTokenCredentials } from '../../../daemon/attest/enrol/client.ts';
import { silentLog } from '../../../daemon/log.ts';
import { startRig, type TestClock, testClock } from './rig.ts';

const never = new AbortController().signal;
const dayMs = 86_400_000;
/** Never set; before this version was built; anywhere. */
const clocks = ['1970-01-01T00:00:30Z', '2020-01-01', '2100-01-01'];

const surface = (t: Test, gateway: { url: string; caPin: string }, token: string, clock: TestClock) => {
  const made = createTokenCredentials({ config: gateway, token, clock, random: () => 0.5, log: silentLog });
  t.teardown(() => made.stop());
  return made;
};

t.test('whatever its clock says, a surface comes in at the gateway of its pin', async (t) => {
  const rig = await startRig(t);
  const gateway = { url: rig.url, caPin: rig.authority.pin };
  for (const time of clocks) {
    const client = surface(t, gateway, await rig.newToken(), testClock(Date.parse(time)));
    t.equal((await client.current(never)).surface, 'desk', time);
  }
});

t.test('and at no other', async (t) => {
  const rig = await startRig(t);
  const other = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock: rig.clock });
  for (const time of clocks) {
    const client = surface(
      t,
      { url: rig.url, caPin: other.pin },
      await rig.newToken(),
      testClock(Date.parse(time)),
    );
    await t.rejects(client.current(never), { code: 'E_GATEWAY_PIN' }, time);
  }
});

t.test("a CA that has ended is refused by the gateway's time, whatever that of the surface", async (t) => {
  const rig = await startRig(t);
  rig.clock.advance(3651 * dayMs);
  for (const time of clocks) {
    const client = surface(
      t,
      { url: rig.url, caPin: rig.authority.pin },
      await rig.newToken(),
      testClock(Date.parse(time)),
    );
    await t.rejects(client.current(never), { code: 'E_GATEWAY_ANSWER', message: /has run out/ }, time);
  }
  const [stateDir, site] = [rig.config.stateDir, rig.config.site];
  await t.rejects(loadAuthority({ stateDir, site, clock: rig.clock }), {
    code: 'E_CA_BROKEN',
    message: /it ended/,
  });
});
