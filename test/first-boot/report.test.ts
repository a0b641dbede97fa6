import fc from 'fast-check';
import t from 'tap';
import { pairingCodeIn, reportText, writeReport } from '../../daemon/first-boot/report.ts';
import type { HealthReport } from '../../daemon/health.ts';
import { statusOf } from '../../daemon/notify.ts';
import { MemoryDisk } from './memory-disk.ts';
import { boot, facts, places, preseedText, start, token, withToken, withTpm } from './rig.ts';

const file = boot('surfaced-report.txt');
const nothing = {
  checkedBy: null,
  device: null,
  preseed: null,
  notes: [],
  problem: null,
  isConfigured: true,
};

t.test('what it tells', async (t) => {
  const text = reportText({ ...nothing }, { ...facts, hasTpm: true, identity: 'tpm' }, 'ab12');
  t.equal(
    text,
    `surfaced 1.2.3
Written 2026-01-02 03:04 UTC, clock set by a time server

surfaced.yaml: in force
rpi-preseed.toml: none

Network: 192.0.2.7 (eth0)
  name desk
TPM: there
  endorsement key ab12
Panel: not known

Next: compare the code on the panel with \`surfaced surfaces list\` on the gateway, then \`surfaced surfaces approve NAME --code CODE\`. Where no panel can show it: \`surfaced surfaces approve NAME --ek KEY\` with the endorsement key above, if nobody else has had this card. Nothing, if that is done.

docs/first-boot.md says more.
`,
  );
  const problem = { code: 'E3', title: 'NO SURFACED.YAML', detail: '', panel: null } as const;
  const panel = { name: 'sense-hat', where: '/dev/i2c-1', isThere: false };
  const other = { ...facts, panel, isClockSynchronized: false, addresses: [] };
  const told = reportText({ ...nothing, problem, isConfigured: false }, other, null);
  t.match(told, /clock not set by a time server yet/);
  t.match(told, /^Network: no address yet$/m);
  t.match(told, /^TPM: none found$/m);
  t.match(told, /^Panel: sense-hat at \/dev\/i2c-1: NOT THERE$/m);
  t.notMatch(told, /pairing code/);
  const waiting = reportText({ ...nothing }, { ...facts, hasTpm: true, pairingCode: '4821-9037' }, 'ab12');
  t.match(waiting, /^ {2}pairing code 4821-9037, when this was written$/m);
  t.match(told, /^E3 NO SURFACED\.YAML\nNext: put a surfaced\.yaml here/m);
});

t.test('the code is what the daemon itself says, in the words that systemd is told', async (t) => {
  const parts = (detail: string) => ({
    link: { ok: false, detail },
    panel: { ok: true, detail: 'launchpad-mini-mk3' },
  });
  const said = (detail: string) => statusOf({ ok: false, parts: parts(detail) } as HealthReport);
  t.equal(pairingCodeIn(said('waits to be let in with the code 4821-9037')), '4821-9037');
  t.equal(pairingCodeIn(said('no gateway')), null);
  t.equal(pairingCodeIn('waits to be let in with the code 4821-90371'), null);
  t.equal(pairingCodeIn(''), null);
});

t.test('written when it says something new, and the key is asked for only then', async (t) => {
  const disk = new MemoryDisk();
  let asked = 0;
  const write = (changes: Partial<typeof facts>) =>
    writeReport({
      disk,
      folder: places.boot,
      status: nothing,
      facts: { ...facts, hasTpm: true, ...changes },
      ekSha256: async () => `key ${++asked}`,
      whileWritable: (work) => work(),
    });
  t.equal(await write({}), true);
  t.equal(
    await write({ at: facts.at + 86_400_000, isClockSynchronized: false }),
    false,
    'time alone is nothing new',
  );
  t.equal(asked, 1);
  t.equal(await write({ addresses: null }), false, 'nor is that it is too early to know an address');
  t.equal(await write({ pairingCode: '4821-9037' }), true);
  t.equal(await write({ addresses: null }), false, 'nor that it is too early to know a code');
  asked = 1;
  t.equal(await write({ pairingCode: null, addresses: ['192.0.2.8 (wlan0)'] }), true);
  t.notMatch(disk.text(file), /pairing code/, 'one that is not waited for any more is gone');
  t.match(disk.text(file), /endorsement key key 2\r\n/);
  t.notMatch(disk.text(file)?.replaceAll('\r\n', ''), /[\r\n]/, 'lines end as Windows ends them');
});

t.test(
  'no secret is in it, nor in what is kept for the starts after, whatever is wrong with the files',
  async () => {
    const secret = 's3cr3tpassword';
    const key = 'xyzxyz.s3cr3ts3cr3ts3cr3ts3cr3ts3cr3tab';
    const mistake = fc.tuple(
      fc.nat(2000),
      fc.constantFrom('', '"', "'", ':', '[', '\n', '=', '{', 'x', '\u0000', '# '),
    );
    const damaged = (text: string, mistakes: readonly (readonly [number, string])[]): string =>
      mistakes.reduce((now, [at, sign]) => {
        const place = at % now.length;
        return now.slice(0, place) + sign + now.slice(place + (sign === '' ? 1 : 0));
      }, text);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(withToken, withTpm.replace('{ tpm: {} }', `{ tokenn: ${token} }`)),
        fc.array(mistake, { maxLength: 3 }),
        fc.array(mistake, { maxLength: 3 }),
        async (device, first, second) => {
          const disk = new MemoryDisk();
          disk.put(boot('surfaced.yaml'), damaged(device, first).replaceAll(token, key));
          disk.put(
            boot('rpi-preseed.toml'),
            damaged(preseedText, second).replaceAll('correct horse', secret),
          );
          const { status } = await start(disk);
          const told = [disk.text(file), disk.text(places.outcome), JSON.stringify(status)].join();
          return !told.includes(secret) && !told.includes(key);
        },
      ),
      { numRuns: 400 },
    );
  },
);
