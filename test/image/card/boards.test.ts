import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { type BoardProfile, boardProfiles } from '../../../image/card/boards.ts';
import { configText } from '../../../image/card/config-txt.ts';
import { overlaySources, ownFiles } from '../../../image/card/firmware-partition.ts';

const profiles: readonly BoardProfile[] = Object.values(boardProfiles);
const { debian, pi5 } = boardProfiles;

t.test('each overlay has a name in the profile, and the other way round', async (t) => {
  const files = readdirSync(overlaySources).toSorted();
  const named = profiles.flatMap(({ overlays }) => overlays.map(({ name }) => `${name}.dts`));
  t.same(files, [...new Set(named)].toSorted());
});

t.test('each overlay says how its part is wired, and is an overlay', async (t) => {
  for (const name of readdirSync(overlaySources)) {
    const text = readFileSync(path.join(overlaySources, name), 'utf8');
    const [comment = ''] = text.split('*/');
    t.match(text, /^\/\*\n \* /, `${name} begins with its comment`);
    t.match(comment, /^ \* Wiring: /m, name);
    t.match(text, /\*\/\n\/dts-v1\/;\n\/plugin\/;\n/, name);
    t.match(text, /compatible = "brcm,bcm2835";/, name);
    t.notMatch(text, /__overrides__/, `${name}: parameters are tried by nothing here`);
  }
});

t.test('config.txt', async (t) => {
  const text = configText(debian.overlays);
  t.same(
    text.split('\n').filter((line) => line.length > 98),
    [],
    'the firmware reads no more of a line',
  );
  const lines = text.split('\n');
  const settings = new Map(
    lines
      .filter((line) => /^[a-z]/.test(line))
      .map((line) => line.split('=') as [string, string])
      .filter(([name]) => name !== 'dtoverlay'),
  );
  t.equal(settings.get('kernel'), 'u-boot.bin');
  t.equal(settings.get('arm_64bit'), '1');
  t.equal(settings.get('upstream_kernel'), '1', 'or the firmware looks for bcm2710-*.dtb');
  t.equal(settings.get('enable_uart'), '1', 'or U-Boot does not start');
  t.equal(settings.get('auto_initramfs'), '0');
  t.notOk(settings.has('initramfs'), 'the initramfs comes from the slot');
  t.ok(Number(settings.get('gpu_mem')) >= 32, 'less takes start_cd.elf');
  t.notOk(
    debian.firmware.some((name) => name.includes('cd')),
    'which is not there',
  );
  t.notMatch(text, /^dtparam=/m, "Debian's device trees have no parameters: such a line does nothing");
  t.ok(
    lines.every((line) => line.startsWith('#dtoverlay') || line.startsWith('# ') || line.length <= 98),
    'the firmware reads 98 characters of a line',
  );

  const overlays = lines.flatMap((line) => /^(#?)dtoverlay=(.*)$/.exec(line)?.slice(1, 3).join('') ?? []);
  t.same(
    overlays,
    debian.overlays.map(({ name, isOn }) => `${isOn ? '' : '#'}${name}`),
    'a line for each overlay that is on the card, and no others',
  );
  t.same(
    debian.overlays.filter(({ isOn }) => isOn).map(({ name }) => name),
    ['header', 'tpm-slb9670'],
  );
});

t.test('boards: each with a device tree of its own; a profile that is not built says why', async (t) => {
  for (const { name, boards, missing, firmware } of profiles) {
    const trees = boards.map(({ deviceTree }) => deviceTree);
    t.equal(new Set(trees).size, trees.length, name);
    for (const tree of trees) t.match(tree, /^bcm(?:2837|2711|2712)-rpi-[a-z0-9-]+\.dtb$/);
    t.ok(missing.length > 0 || firmware.includes('start.elf'), name);
  }
  t.same(debian.missing, []);
  t.match(pi5.missing.join(' '), /archive\.raspberrypi\.com.*tryboot.*was run/);
});

t.test('texts for the maker', async (t) => {
  const text = readFileSync(path.join(ownFiles, 'README.txt'), 'utf8');
  t.ok(text.split('\n').length <= 42, 'one page');
  t.ok(text.split('\n').every((line) => line.length <= 78 && /^[\x20-\x7e]*$/.test(line)));
  t.match(text, /surfaced\.yaml\.example/);
  t.match(text, /factory-reset/);
});
