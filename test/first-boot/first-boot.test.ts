import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { parseConfig } from '../../daemon/config/load.ts';
import { SurfacedError } from '../../daemon/errors.ts';
import { MemoryDisk, PowerCut } from './memory-disk.ts';
import {
  boot,
  deviceText,
  password,
  places,
  preseedText,
  publicKey,
  start,
  token,
  withToken,
  withTpm,
} from './rig.ts';

const report = boot('surfaced-report.txt');
const newDisk = (files: Record<string, string | Uint8Array>): MemoryDisk => {
  const disk = new MemoryDisk();
  for (const [name, content] of Object.entries(files)) disk.put(boot(name), content);
  return disk;
};

t.test('a first start takes everything over, and leaves no secret on the boot partition', async (t) => {
  const disk = newDisk({ 'surfaced.yaml': withToken, 'rpi-preseed.toml': preseedText });
  const { status, isNew } = await start(disk);
  t.equal(isNew, true);
  t.equal(status.problem, null);
  t.equal(status.isConfigured, true);
  t.equal(disk.text(boot('rpi-preseed.toml')), null);
  const device = disk.text(places.deviceFile) ?? '';
  t.equal(parseConfig('Device', device, 'device.yaml').identity?.tokenFile, '/run/surfaced/token');
  t.match(device, /# from the gateway/, 'as its writer laid it out');
  t.equal(disk.text(boot('surfaced.yaml'))?.trimEnd(), device.trimEnd());
  t.equal(disk.text(places.token), `${token}\n`);
  t.equal(disk.text(places.hostname), 'desk\n');
  t.equal(disk.text(places.kernelHostname), 'desk\n');
  t.equal(disk.text(places.localtime), '-> /usr/share/zoneinfo/Europe/Berlin');
  t.equal(disk.text(`${places.ssh}/authorized_keys`), `${publicKey}\n`);
  t.equal(
    disk.text('/var/lib/iwd/=436166c3a9.psk'),
    '[Security]\nPassphrase=correct\\shorse\n\n[Settings]\nHidden=true\n',
  );
  t.equal(disk.text('/run/surfaced/iwd/main.conf'), '[General]\nCountry=DE\n');
  for (const [name, text] of Object.entries(disk.all()).filter(([name]) => name.startsWith('/boot')))
    for (const secret of [token, password]) t.notOk(text.includes(secret), `${name} tells no secret`);
});

t.test('nothing new: nothing is written but what does not outlive the start', async (t) => {
  const disk = newDisk({ 'surfaced.yaml': withToken, 'rpi-preseed.toml': preseedText });
  await start(disk);
  const before = disk.all();
  disk.restart();
  const { status, isNew, isReported } = await start(disk);
  t.equal(isNew, false);
  t.equal(isReported, false);
  t.equal(status.preseed?.state, 'taken over', 'what came of it is still known');
  t.same(disk.all(), before);
  disk.restart();
  const writable = { whileWritable: () => Promise.reject(new Error('asked to write to the card')) };
  t.same((await start(disk, writable)).status, status);
});

t.test('a file that comes again counts again', async (t) => {
  const disk = newDisk({ 'surfaced.yaml': withToken, 'rpi-preseed.toml': preseedText });
  await start(disk);
  disk.restart();
  disk.put(boot('surfaced.yaml'), withTpm);
  disk.put(boot('rpi-preseed.toml'), '[wlan]\nssid = "other"\n[ssh]\nenabled = false\n');
  await start(disk);
  t.equal(disk.text(places.deviceFile), withTpm);
  t.equal(disk.text(places.token), null, 'a surface with a TPM keeps no token');
  t.equal(disk.text(`${places.ssh}/authorized_keys`), null, 'SSH is off again');
  t.same(await disk.list('/var/lib/iwd'), ['other.open'], 'and the network before is forgotten');
  t.equal(disk.text(places.hostname), 'desk\n', 'what was not named stays');
});

t.test('a file that is refused leaves what is in force', async (t) => {
  const bad = withToken.replace('launchpad-mini-mk3', 'lauchpad');
  const disk = newDisk({ 'surfaced.yaml': withTpm });
  await start(disk);
  disk.restart();
  disk.put(boot('surfaced.yaml'), bad);
  const { status } = await start(disk);
  t.equal(status.problem, null);
  t.equal(disk.text(places.deviceFile), withTpm);
  t.equal(disk.text(boot('surfaced.yaml')), bad, 'it stays, to be corrected');
  t.match(disk.text(report), /surfaced\.yaml: REFUSED; the one before stays in force\r\n/);
  t.match(disk.text(report), /refused: surfaced\.yaml:9:11 panel\.preset: /);
  t.notMatch(disk.text(report), new RegExp(token));
  disk.restart();
  t.equal((await start(disk)).isReported, false, 'told once');
  disk.restart();
  disk.put(boot('surfaced.yaml'), withTpm);
  await start(disk);
  t.match(disk.text(report), /surfaced\.yaml: in force\r\n/);
});

t.test('why a surface cannot work is kept for its panel', async (t) => {
  const code = async (files: Record<string, string>, after: (disk: MemoryDisk) => void = () => {}) => {
    const disk = newDisk(files);
    if (Object.keys(files).length > 0) await start(disk).catch(() => {});
    disk.restart();
    after(disk);
    const { status } = await start(disk);
    const shown = disk.text(places.problem);
    t.equal(shown === null, status.problem === null);
    return status.problem;
  };
  t.match(await code({}), { code: 'E3', panel: null });
  const bad = await code({ 'surfaced.yaml': deviceText('{ token: short }') });
  t.match(bad, { code: 'E1', detail: /identity\.token: expected/, panel: { preset: 'launchpad-mini-mk3' } });
  t.match(await code({ 'surfaced.yaml': 'panel: [' }), { code: 'E1', panel: null });
  t.match(await code({ 'rpi-preseed.toml': 'x' }), { code: 'E2' });
  const broken = (disk: MemoryDisk): void => {
    disk.put(places.deviceFile, 'kind: Nothing\n');
    disk.put(boot('surfaced.yaml'), 'kind: Nothing\n');
    disk.put(places.outcome, '{"checkedBy":"1.0.0","device":null,"preseed":null}');
  };
  t.match(await code({ 'surfaced.yaml': withTpm }, broken), { code: 'E5', detail: /device\.yaml:1:/ });
  const gone = (disk: MemoryDisk): void => {
    disk.put(places.deviceFile, disk.text(boot('surfaced.yaml')) ?? '');
    void disk.remove(`${places.secrets}/token`);
  };
  t.match(await code({ 'surfaced.yaml': withToken }, gone), { code: 'E6' });
  t.equal(await code({ 'surfaced.yaml': withTpm }), null);
  for (const one of [bad, await code({})]) t.ok((one?.title.length ?? 99) <= 16);
});

t.test('a data partition that cannot be written is told, and nothing is erased', async (t) => {
  const disk = newDisk({ 'surfaced.yaml': withToken, 'rpi-preseed.toml': preseedText });
  const write = disk.write.bind(disk);
  disk.write = (file, bytes) =>
    file.startsWith('/data/')
      ? Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }))
      : write(file, bytes);
  const { status } = await start(disk);
  t.match(status.problem, { code: 'E4', detail: /ENOSPC/ });
  t.equal(disk.text(boot('surfaced.yaml')), withToken);
  t.equal(disk.text(boot('rpi-preseed.toml')), preseedText);
});

t.test('a boot partition that cannot be written keeps nothing from working', async (t) => {
  const disk = newDisk({ 'surfaced.yaml': withToken });
  const whileWritable = () =>
    Promise.reject(new SurfacedError('E_FIRST_BOOT', '/boot/firmware cannot be made rw: it is locked'));
  await t.rejects(start(disk, { whileWritable }), { code: 'E_FIRST_BOOT' }, 'the report is what fails');
  t.equal(disk.text(places.token), `${token}\n`);
  t.match(disk.text(places.status), /cannot be made rw/);
});

t.test('names and codings as editors of Windows leave them', async (t) => {
  const crlf = withToken.replaceAll('\n', '\r\n');
  const wide = Buffer.from(`\ufeff${crlf}`, 'utf16le');
  const files: Record<string, Record<string, string | Uint8Array>> = {
    'CRLF and a mark': { 'surfaced.yaml': `\ufeff${crlf}` },
    'a hidden ending': { 'Surfaced.yaml.TXT': crlf },
    'UTF-16': { 'surfaced.yaml': wide },
    'UTF-16, the other way': { 'surfaced.yml': Buffer.from(wide).swap16() },
  };
  for (const [what, file] of Object.entries(files)) {
    const disk = newDisk(file);
    const { status } = await start(disk);
    t.equal(status.problem, null, what);
    t.equal(disk.text(places.token), `${token}\n`, what);
    t.notOk(
      Object.entries(disk.all()).some(([name, text]) => name.startsWith('/boot') && text.includes(token)),
    );
    disk.restart();
    t.equal((await start(disk)).isNew, false, `${what}: once`);
  }
  const disk = newDisk({ 'surfaced.yaml': withTpm, 'surfaced.yaml.txt': withToken });
  await start(disk);
  t.match(disk.text(report), /surfaced\.yaml\.txt: passed over, as surfaced\.yaml is there/);
});

t.test('what is wrong with part of a preseed keeps that part out, and the file where it is', async (t) => {
  const text = preseedText.replace(`"${password}"`, '1234567');
  const disk = newDisk({ 'rpi-preseed.toml': text, 'surfaced.yaml': withTpm });
  await start(disk);
  t.equal(disk.text(places.hostname), 'desk\n');
  t.same(await disk.list('/var/lib/iwd'), []);
  t.equal(disk.text(boot('rpi-preseed.toml')), text);
  t.match(disk.text(report), /rpi-preseed\.toml:15 wlan\.password: expected text in quotes/);
  t.notMatch(disk.text(report), /1234567/);
});

/** Final state of a card that went through these files, one start each. */
async function through(rounds: readonly Record<string, string>[], cut: (disk: MemoryDisk) => void) {
  const disk = new MemoryDisk();
  let steps = 0;
  for (const [index, files] of rounds.entries()) {
    disk.restart();
    for (const [name, content] of Object.entries(files)) disk.put(boot(name), content);
    if (index === rounds.length - 1) cut(disk);
    try {
      await start(disk);
    } catch (problem) {
      if (!(problem instanceof PowerCut)) throw problem;
    }
    steps = disk.steps;
  }
  return { disk, steps };
}

t.test('the power may go at any step: the next start comes to the same', async (t) => {
  const long = withToken.replace(
    'panel:',
    `${'# a comment that fills sectors, line by line\n'.repeat(40)}panel:`,
  );
  const again = preseedText.replace(password, 'another password').replace('Caf\u00e9', 'plain');
  const cards: Record<string, Record<string, string>[]> = {
    'a new card': [{ 'surfaced.yaml': long, 'rpi-preseed.toml': preseedText }],
    'a change': [
      { 'surfaced.yaml': withToken, 'rpi-preseed.toml': preseedText },
      { 'surfaced.yaml': long, 'rpi-preseed.toml': again },
    ],
    'from a token to a TPM': [{ 'surfaced.yaml': withToken }, { 'surfaced.yaml': withTpm }],
  };
  for (const [what, rounds] of Object.entries(cards)) {
    const { disk: whole, steps } = await through(rounds, () => {});
    whole.restart();
    await start(whole);
    const expected = whole.all();
    t.ok(steps > 8, `${what}: ${steps} steps`);
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            fc.nat(steps + 5),
            fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 40 }),
          ),
          {
            minLength: 1,
            maxLength: 3,
          },
        ),
        async (cuts) => {
          const chanceOf = (values: readonly number[]) => {
            let next = 0;
            return () => values[next++ % Math.max(1, values.length)] ?? 0.5;
          };
          const [first, ...others] = cuts;
          const { disk } = await through(rounds, (one) =>
            one.cutAt(first?.[0] ?? 0, chanceOf(first?.[1] ?? [])),
          );
          for (const [step, values] of others) {
            disk.restart();
            disk.cutAt(step, chanceOf(values));
            await start(disk).catch((problem: unknown) => {
              if (!(problem instanceof PowerCut)) throw problem;
            });
          }
          for (let round = 0; round < 2; round++) {
            disk.restart();
            await start(disk);
          }
          assert.deepEqual(withoutPadding(disk.all()), withoutPadding(expected));
        },
      ),
      { numRuns: 120 },
    );
  }
});

/** Empty lines at the end, which say nothing. */
const withoutPadding = (files: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [name, text.trimEnd()]));
