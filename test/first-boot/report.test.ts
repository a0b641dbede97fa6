import fc from 'fast-check';
import t from 'tap';
import { reportText, writeReport } from '../../daemon/first-boot/report.ts';
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

Next: compare the code on the panel with \`surfaced surfaces list\` on the gateway, then \`surfaced surfaces approve NAME --code CODE\`. Nothing, if that is done.

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
  t.match(told, /^E3 NO SURFACED\.YAML\nNext: put a surfaced\.yaml here/m);
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
  t.equal(await write({ addresses: ['192.0.2.8 (wlan0)'] }), true);
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
