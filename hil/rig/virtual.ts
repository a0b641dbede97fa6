/** The virtual rig as a {@link Rig}: runs inside the rig's kernel, hands on simulated lines and on chip models. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Ability, PartFault, Rig } from '../scenarios/rig.ts';
import { Ads1115Model } from '../sim/chips/ads1115.ts';
import { SimBus } from '../sim/chips/bus.ts';
import { Ht16k33Model } from '../sim/chips/ht16k33.ts';
import { Mcp23017Model } from '../sim/chips/mcp23017.ts';
import type { ChipModel, ShownLights } from '../sim/chips/model.ts';
import { NeoTrellisModel } from '../sim/chips/seesaw-parts.ts';
import { ChipServer } from '../sim/chips/server.ts';
import { type I2cBus, startI2cBus } from './guest/chips.ts';
import { setLine } from './guest/lines.ts';
import { turnKnob } from './guest/quadrature.ts';

const here = path.dirname(fileURLToPath(import.meta.url));
const panelConfig = path.join(here, 'panel.yaml');
const supplyVolts = 3.3;
const busNumber = 1;
const abilities: ReadonlySet<Ability> = new Set(['unplug-part', 'unplug-bus', 'part-fault', 'lights']);

/** Lines of the encoders in panel.yaml and panel.dts. */
const encoders: Readonly<Record<string, { a: number; b: number }>> = {
  encoder1: { a: 5, b: 6 },
  encoder2: { a: 17, b: 27 },
};
const encoderPushes: Readonly<Record<string, number>> = { encoder1: 13 };
const buttons: Readonly<Record<string, number>> = { arm: 0, undo: 1 };
const faders: Readonly<Record<string, number>> = { fader1: 0, fader2: 1 };

/** Makes the rig of panel.yaml: one bus of chip models and the lines of the kernel. Only inside the rig's kernel. */
export async function openVirtualRig(environment: NodeJS.ProcessEnv): Promise<Rig> {
  const { SURFACED_CUSE_I2C: adapter, SURFACED_QUADRATURE: quadrature } = environment;
  if (adapter === undefined || quadrature === undefined)
    throw new Error(
      'SURFACED_CUSE_I2C and SURFACED_QUADRATURE name the adapters; hil/rig/run-file.ts sets them',
    );
  const sim = new SimBus({ now: () => performance.now(), clockHz: 400_000, random: Math.random });
  const chips = {
    faders: new Ads1115Model(),
    buttons: new Mcp23017Model(Math.random),
    pads: new NeoTrellisModel(),
    matrix: new Ht16k33Model('8x8'),
  };
  const parts: Readonly<Record<string, { address: number; chip: ChipModel }>> = {
    'ads1115@48': { address: 0x48, chip: chips.faders },
    'mcp23017@20': { address: 0x20, chip: chips.buttons },
    'neotrellis@2e': { address: 0x2e, chip: chips.pads },
    'ht16k33@70': { address: 0x70, chip: chips.matrix },
  };
  const partOf = (name: string) => known(parts, name, 'part');
  const server = new ChipServer(new Map([[busNumber, sim]]));
  const socket = path.join(await mkdtemp(path.join(tmpdir(), 'chips-')), 'socket');
  await server.listen(socket);
  const plugBus = () => startI2cBus({ adapter, bus: busNumber, socket });
  let bus: I2cBus | null = await plugBus();
  for (const { address, chip } of Object.values(parts)) sim.plug(address, chip);

  const hold = (control: string, pad: number | null, isDown: boolean): void => {
    const row = /^row([1-4])$/.exec(control);
    if (row !== null && pad !== null) {
      const key = (Number(row[1]) - 1) * 4 + pad;
      if (isDown) chips.pads.pressKey(key);
      else chips.pads.releaseKey(key);
    } else if (Object.hasOwn(encoderPushes, control)) {
      setLine(known(encoderPushes, control, 'push'), isDown);
    } else if (isDown) chips.buttons.press(known(buttons, control, 'button'));
    else chips.buttons.release(known(buttons, control, 'button'));
  };

  return {
    name: 'virtual',
    abilities,
    deviceConfig: panelConfig,
    panelConfig,
    surfaced: (...args) => [
      process.execPath,
      '--import=tsx',
      path.join(here, '../../daemon/main.ts'),
      ...args,
    ],
    async turn(control, detents, detentsPerSecond) {
      const { a, b } = known(encoders, control, 'encoder');
      const edges = detents * 4;
      await turnKnob({ adapter: quadrature, a, b, edges, edgesPerSecond: detentsPerSecond * 4, bounces: 0 });
    },
    press: async (control, pad) => hold(control, pad, true),
    release: async (control, pad) => hold(control, pad, false),
    move: async (control, position) =>
      chips.faders.setVolts(known(faders, control, 'fader'), position * supplyVolts),
    unplug: async (part) => sim.unplug(partOf(part).address),
    async plug(part) {
      const { address, chip } = partOf(part);
      sim.plug(address, chip);
    },
    async fault(part: string, fault: PartFault) {
      if (fault === 'jumps') throw new Error('the virtual rig has no jumping wiper; move the fader instead');
      sim.fault(partOf(part).address, fault);
    },
    async unplugBus(number) {
      if (number !== busNumber) throw new Error(`the virtual rig has no bus ${number}`);
      await bus?.remove();
      bus = null;
    },
    async plugBus(number) {
      if (number !== busNumber) throw new Error(`the virtual rig has no bus ${number}`);
      bus ??= await plugBus();
    },
    async lights(part): Promise<ShownLights> {
      const { chip } = partOf(part);
      if (chip === chips.matrix) return chips.matrix.lights();
      if (chip === chips.pads) return chips.pads.lights();
      throw new Error(`${part} has no lights`);
    },
    protocolErrors: async () => [...sim.protocolErrors, ...server.protocolErrors],
    async close() {
      await bus?.remove();
      bus = null;
      await server.close();
    },
  };
}

function known<Value>(table: Readonly<Record<string, Value>>, name: string, what: string): Value {
  const value = Object.hasOwn(table, name) ? table[name] : undefined;
  if (value === undefined)
    throw new Error(`the virtual rig has no ${what} ${name}; it has ${Object.keys(table).join(', ')}`);
  return value;
}
