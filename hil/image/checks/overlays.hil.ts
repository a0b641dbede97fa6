/**
 * The overlays of the card, joined with every device tree on it as the firmware does it: do all labels exist, is what they
 * say what comes out, and has the kernel of the card a driver for it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { boardProfiles } from '../../../image/card/boards.ts';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';
import { builtCard, firmwareOf, slotFile } from '../built-card.ts';

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
async function join(deviceTree: string, names: readonly string[]): Promise<string> {
  const output = path.join(work, `${names.join('+')}-${deviceTree}`);
  await run(
    'fdtoverlay',
    '-i',
    at(deviceTree),
    '-o',
    output,
    ...names.map((name) => at('overlays', `${name}.dtbo`)),
  );
  return output;
}
const get = async (tree: string, node: string, property: string, type = 's'): Promise<string> =>
  (await run('fdtget', '-t', type, tree, node, property)).trim();
/** Path of what the board's device tree calls by a label. */
const labelled = (tree: string, label: string): Promise<string> => get(tree, '/__symbols__', label);

/** What is to be seen in a tree with the overlay, by name. */
const expectations: Readonly<Record<string, (t: Test, tree: string) => Promise<void>>> = {
  header: async (t, tree) => {
    t.equal(await get(tree, '/aliases', 'i2c1'), await labelled(tree, 'i2c1'), 'the header is /dev/i2c-1');
    t.equal(await get(tree, '/aliases', 'spi0'), await labelled(tree, 'spi'));
  },
  'tpm-slb9670': async (t, tree) => {
    const spi = await labelled(tree, 'spi');
    t.equal(await get(tree, spi, 'status'), 'okay');
    t.equal(await get(tree, `${spi}/tpm@1`, 'compatible'), 'infineon,slb9670 tcg,tpm_tis-spi');
    t.equal(await get(tree, `${spi}/tpm@1`, 'reg', 'u'), '1');
    await chipSelects(t, tree, spi);
  },
  'spidev-ce0': async (t, tree) => {
    const spi = await labelled(tree, 'spi');
    t.equal(await get(tree, spi, 'status'), 'okay');
    t.equal(await get(tree, `${spi}/spidev@0`, 'compatible'), 'lwn,bk4');
    t.equal(await get(tree, `${spi}/spidev@0`, 'reg', 'u'), '0');
    await chipSelects(t, tree, spi);
  },
  'i2c1-400k': async (t, tree) => {
    const bus = await labelled(tree, 'i2c1');
    t.equal(await get(tree, bus, 'clock-frequency', 'u'), '400000');
    t.equal(await get(tree, bus, 'status'), 'okay');
  },
  'serial-midi': async (t, tree) => {
    const pins = await get(tree, await labelled(tree, 'uart0_gpio14'), 'phandle', 'u');
    t.equal(await get(tree, await labelled(tree, 'uart0'), 'pinctrl-0', 'u'), pins);
    t.equal(await get(tree, '/aliases', 'serial0'), await labelled(tree, 'uart0'), 'which makes it ttyAMA0');
    t.equal(await get(tree, await labelled(tree, 'bt'), 'status'), 'disabled');
    const mini = await labelled(tree, 'uart1');
    t.equal(await get(tree, mini, 'status'), 'okay', 'U-Boot wants its console');
    t.equal(await get(tree, mini, 'pinctrl-0', 'u'), '', 'without pins');
  },
  'gpio-key-22': async (t, tree) => {
    t.equal(await get(tree, '/button-22', 'compatible'), 'gpio-keys');
    t.equal(await get(tree, '/button-22/key', 'linux,code', 'u'), '28');
  },
  'rtc-ds3231': (t, tree) => clock(t, tree, 'rtc@68', 'maxim,ds3231'),
  'rtc-ds1307': (t, tree) => clock(t, tree, 'rtc@68', 'dallas,ds1307'),
  'rtc-pcf85063': (t, tree) => clock(t, tree, 'rtc@51', 'nxp,pcf85063a'),
};

async function chipSelects(t: Test, tree: string, spi: string): Promise<void> {
  const gpio = await get(tree, await labelled(tree, 'gpio'), 'phandle', 'u');
  t.equal(
    await get(tree, spi, 'cs-gpios', 'u'),
    `${gpio} 8 1 ${gpio} 7 1`,
    'CE0 is GPIO 8, CE1 GPIO 7, active low',
  );
  const [first = ''] = (await get(tree, spi, 'pinctrl-0', 'u')).split(' ');
  t.match(first, /^[1-9]\d*$/, 'pins are those of the overlay');
}

async function clock(t: Test, tree: string, node: string, compatible: string): Promise<void> {
  const bus = await labelled(tree, 'i2c1');
  t.equal(await get(tree, `${bus}/${node}`, 'compatible'), compatible);
  t.equal(await get(tree, `${bus}/${node}`, 'reg', 'x'), node.replace('rtc@', ''));
}

t.test('each overlay alone, on every board', async (t) => {
  t.same(Object.keys(expectations).toSorted(), overlays.map(({ name }) => name).toSorted());
  for (const { name: board, deviceTree } of boards)
    await t.test(board, async (t) => {
      for (const [name, expectation] of Object.entries(expectations))
        await expectation(t, await join(deviceTree, [name]));
    });
});

t.test('all at once, in the order of config.txt', async (t) => {
  // One clock is enough: two of them share an address.
  const names = overlays.map(({ name }) => name).filter((name) => name !== 'rtc-ds1307');
  for (const { name: board, deviceTree } of boards)
    await t.test(board, async (t) => {
      const tree = await join(deviceTree, names);
      for (const name of names) await expectations[name]?.(t, tree);
    });
});

t.test("the card's kernel has a driver for each", async (t) => {
  const { kernel } = card.info;
  const modules = await slotFile(toolbox, card, `/usr/lib/modules/${kernel}/modules.alias`);
  const builtIn = await slotFile(toolbox, card, `/usr/lib/modules/${kernel}/modules.builtin.modinfo`);
  const known = `${modules}\n${builtIn}`;
  const compatibles = [
    ...['infineon,slb9670', 'lwn,bk4', 'gpio-keys', 'maxim,ds3231', 'dallas,ds1307', 'nxp,pcf85063a'],
    ...[
      'brcm,bcm2835-spi',
      'brcm,bcm2835-i2c',
      'brcm,bcm2835-gpio',
      'brcm,bcm2711-gpio',
      'brcm,bcm2835-aux-uart',
    ],
  ];
  for (const compatible of compatibles) t.ok(known.includes(`of:N*T*C${compatible}`), compatible);
});
