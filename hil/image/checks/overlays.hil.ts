/**
 * The overlays of the card, joined with every device tree on it as the firmware does it: do all labels exist, is what they
 * say what comes out, and has the kernel of the card a driver for it.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { boardProfiles } from '../../../image/card/boards.ts';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';
import { builtCard, firmwareOf, slotCopy, slotFile } from '../built-card.ts';
import { type DeviceTree, readDeviceTree } from '../device-tree.ts';

const { boards, overlays } = boardProfiles.debian;
const toolbox = await ensureToolbox();
const card = builtCard();
const work = await mkdtemp(path.join(tmpdir(), 'surfaced-overlays-'));
t.teardown(() => rm(work, { recursive: true, force: true }));
const binds = [work, card.folder];
const run = (command: string, ...args: string[]): Promise<string> => toolbox.run(command, args, { binds });
await run('mcopy', '-s', '-i', firmwareOf(card), '::/', path.join(work, 'firmware'));
const at = (...names: string[]): string => path.join(work, 'firmware', ...names);

/** Joins overlays, in this order, with a board's device tree. */
async function join(deviceTree: string, names: readonly string[]): Promise<DeviceTree> {
  const output = path.join(work, `${names.join('+')}-${deviceTree}`);
  await run(
    'fdtoverlay',
    '-i',
    at(deviceTree),
    '-o',
    output,
    ...names.map((name) => at('overlays', `${name}.dtbo`)),
  );
  return readDeviceTree(await readFile(output));
}
const property = (tree: DeviceTree, node: string, name: string): Buffer => {
  const value = tree.get(node)?.get(name);
  if (value === undefined) throw new Error(`${node} has no ${name}`);
  return value;
};
/** A property of texts, each with the zero byte that ends it left out. */
const texts = (tree: DeviceTree, node: string, name: string): string =>
  property(tree, node, name).toString('latin1').split('\0').slice(0, -1).join(' ');
/** A property of numbers of 32 bits. */
const numbers = (tree: DeviceTree, node: string, name: string): number[] => {
  const value = property(tree, node, name);
  return Array.from({ length: value.length / 4 }, (_, index) => value.readUInt32BE(index * 4));
};
/** Path of what the board's device tree calls by a label. */
const labelled = (tree: DeviceTree, label: string): string => texts(tree, '/__symbols__', label);

/** What is to be seen in a tree with the overlay, by name. */
const expectations: Readonly<Record<string, (t: Test, tree: DeviceTree) => void>> = {
  header: (t, tree) => {
    t.equal(texts(tree, '/aliases', 'i2c1'), labelled(tree, 'i2c1'), 'the header is /dev/i2c-1');
    t.equal(texts(tree, '/aliases', 'spi0'), labelled(tree, 'spi'));
  },
  'tpm-slb9670': (t, tree) => {
    const spi = spiOfHeader(t, tree);
    t.equal(texts(tree, `${spi}/tpm@1`, 'compatible'), 'infineon,slb9670 tcg,tpm_tis-spi');
    t.same(numbers(tree, `${spi}/tpm@1`, 'reg'), [1]);
    t.same(numbers(tree, `${spi}/tpm@1`, 'spi-max-frequency'), [32_000_000]);
  },
  'spidev-ce0': (t, tree) => {
    const spi = spiOfHeader(t, tree);
    t.equal(texts(tree, `${spi}/spidev@0`, 'compatible'), 'lwn,bk4');
    t.same(numbers(tree, `${spi}/spidev@0`, 'reg'), [0]);
  },
  'i2c1-400k': (t, tree) => {
    const bus = labelled(tree, 'i2c1');
    t.same(numbers(tree, bus, 'clock-frequency'), [400_000]);
    t.equal(texts(tree, bus, 'status'), 'okay');
  },
  'serial-midi': (t, tree) => {
    const pins = numbers(tree, labelled(tree, 'uart0_gpio14'), 'phandle');
    t.same(numbers(tree, labelled(tree, 'uart0_gpio14'), 'brcm,pins'), [14, 15]);
    t.same(numbers(tree, labelled(tree, 'uart0'), 'pinctrl-0'), pins);
    t.equal(texts(tree, '/aliases', 'serial0'), labelled(tree, 'uart0'), 'which makes it ttyAMA0');
    t.equal(texts(tree, labelled(tree, 'bt'), 'status'), 'disabled');
    const mini = labelled(tree, 'uart1');
    t.equal(texts(tree, mini, 'status'), 'okay', 'U-Boot wants its console');
    t.same(numbers(tree, mini, 'pinctrl-0'), [], 'without pins');
  },
  'gpio-key-22': (t, tree) => {
    t.equal(texts(tree, '/button-22', 'compatible'), 'gpio-keys');
    t.same(numbers(tree, '/button-22/key', 'linux,code'), [28]);
    t.same(numbers(tree, '/button-22/key', 'gpios'), [
      ...numbers(tree, labelled(tree, 'gpio'), 'phandle'),
      22,
      1,
    ]);
  },
  'rtc-ds3231': (t, tree) => clock(t, tree, 0x68, 'maxim,ds3231'),
  'rtc-ds1307': (t, tree) => clock(t, tree, 0x68, 'dallas,ds1307'),
  'rtc-pcf85063': (t, tree) => clock(t, tree, 0x51, 'nxp,pcf85063a'),
};

/** Path of the bus, with its chip selects and pins looked at. */
function spiOfHeader(t: Test, tree: DeviceTree): string {
  const spi = labelled(tree, 'spi');
  const [gpio = 0] = numbers(tree, labelled(tree, 'gpio'), 'phandle');
  t.equal(texts(tree, spi, 'status'), 'okay');
  t.same(numbers(tree, spi, 'cs-gpios'), [gpio, 8, 1, gpio, 7, 1], 'CE0 is GPIO 8, CE1 GPIO 7, active low');
  const pins = numbers(tree, spi, 'pinctrl-0').map((handle) => {
    const [group] = [...tree.keys()].filter(
      (node) => tree.get(node)?.get('phandle')?.readUInt32BE() === handle,
    );
    return numbers(tree, group ?? '', 'brcm,pins');
  });
  t.same(pins, [
    [9, 10, 11],
    [8, 7],
  ]);
  return spi;
}

function clock(t: Test, tree: DeviceTree, address: number, compatible: string): void {
  const node = `${labelled(tree, 'i2c1')}/rtc@${address.toString(16)}`;
  t.equal(texts(tree, node, 'compatible'), compatible);
  t.same(numbers(tree, node, 'reg'), [address]);
}

t.test('each overlay alone, on every board', async (t) => {
  t.same(Object.keys(expectations).toSorted(), overlays.map(({ name }) => name).toSorted());
  for (const { name: board, deviceTree } of boards)
    await t.test(board, async (t) => {
      for (const [name, expectation] of Object.entries(expectations))
        expectation(t, await join(deviceTree, [name]));
    });
});

t.test('all at once, in the order of config.txt', async (t) => {
  // One clock is enough: two of them share an address.
  const names = overlays.map(({ name }) => name).filter((name) => name !== 'rtc-ds1307');
  for (const { name: board, deviceTree } of boards)
    await t.test(board, async (t) => {
      const tree = await join(deviceTree, names);
      for (const name of names) expectations[name]?.(t, tree);
    });
});

t.test("the card's kernel has a driver for each", async (t) => {
  const { kernel } = card.info;
  const modules = await slotFile(toolbox, card, `/usr/lib/modules/${kernel}/modules.alias`);
  for (const name of ['infineon,slb9670', 'gpio-keys', 'brcm,bcm2835-spi', 'brcm,bcm2835-i2c'])
    t.match(modules, new RegExp(`^alias of:N\\*T\\*C${name} `, 'm'), `${name} is a module`);
  // What is built in has no such list: the names stand in the kernel itself, which is not compressed.
  const program = await readFile(await slotCopy(toolbox, card, '/boot/vmlinuz', work));
  for (const name of ['lwn,bk4', 'maxim,ds3231', 'dallas,ds1307', 'nxp,pcf85063a', 'brcm,bcm2835-gpio'])
    t.ok(program.includes(`\0${name}\0`), `${name} is built in`);
});
