/** What the models of seesaw parts refuse, as the real firmware would answer nonsense or stop. */
import t from 'tap';
import { SimBus } from '../../../hil/sim/chips/bus.ts';
import type { SeesawModel } from '../../../hil/sim/chips/seesaw.ts';
import {
  NeoSliderModel,
  NeoTrellisModel,
  SeesawEncoderModel,
  SeesawQuadEncoderModel,
} from '../../../hil/sim/chips/seesaw-parts.ts';

const address = 0x36;

/** A model on a bus, asked by hand. */
class Bench {
  nowMs = 1000;
  readonly bus = new SimBus({ now: () => this.nowMs, clockHz: 400_000, random: () => 0.5 });

  constructor(model: SeesawModel) {
    this.bus.plug(address, model);
  }

  /** Bytes as hex in a row; `null`: not acknowledged. */
  write(hex: string): string | null {
    return this.#outcome([{ isRead: false, bytes: Buffer.from(hex.replaceAll(' ', ''), 'hex') }]);
  }

  read(length: number): string | null {
    return this.#outcome([{ isRead: true, length }]);
  }

  /** Names a register, waits and reads. */
  ask(hex: string, length: number): string | null {
    this.write(hex);
    this.nowMs += 8;
    return this.read(length);
  }

  #outcome(messages: Parameters<SimBus['transfer']>[1]): string | null {
    const result = this.bus.transfer(address, messages);
    return 'bytes' in result ? Buffer.from(result.bytes).toString('hex') : null;
  }

  /** The complaint about the last command, and none before it. */
  complaint(): string | undefined {
    return this.bus.protocolErrors.length > 1 ? 'several' : this.bus.protocolErrors.pop();
  }
}

t.test('answers take time, and the register must have been named just before', async (t) => {
  const bench = new Bench(new SeesawEncoderModel());
  bench.write('00 01');
  bench.nowMs += 2;
  t.equal(bench.read(1), null);
  t.match(bench.complaint(), /read after 2 ms, an answer takes 5/);
  t.equal(bench.ask('00 01', 1), '55');
  t.equal(bench.read(4), null, 'an answer is given once');
  t.match(bench.complaint(), /without a register/);
  bench.write('00 01');
  bench.write('0e 01 06');
  bench.nowMs += 8;
  t.equal(bench.read(4), null, 'a command in between takes the answer away');
  t.match(bench.complaint(), /without a register/);
  t.equal(bench.read(1), 'ff', 'one byte is what scanners read; it is no answer');
  t.equal(bench.complaint(), undefined);
});

t.test('a repeated START is no pause', async (t) => {
  const bench = new Bench(new NeoSliderModel());
  const messages = [
    { isRead: false, bytes: Uint8Array.of(0x09, 0x19) },
    { isRead: true, length: 2 },
  ] as const;
  t.same(bench.bus.transfer(address, messages), { errno: -121 });
  t.match(bench.complaint(), /a write or a read expected, got write 2, read 2/);
});

t.test(
  'nothing is acknowledged for half a second after a reset, and all is forgotten but the light',
  async (t) => {
    const model = new SeesawEncoderModel();
    const bench = new Bench(model);
    for (const hex of ['0e 01 06', '0e 03 00 03', '0e 04 00 00 00 ff 00', '0e 05']) bench.write(hex);
    bench.write('11 30 00 00 00 07');
    t.same([...model.lights().rgb], [255, 0, 0]);
    bench.write('00 7f ff');
    bench.nowMs += 499;
    t.equal(bench.write('00 01'), null);
    bench.nowMs += 1;
    t.equal(bench.write('00 01'), '');
    t.equal(bench.ask('11 30', 4), '00000000');
    t.same([...model.lights().rgb], [255, 0, 0], 'pixels keep what they show');
    bench.write('0e 05');
    t.match(bench.complaint(), /before pin and length/);
    model.reset();
    t.same([...model.lights().rgb], [0, 0, 0], 'but not without power');
  },
);

t.test('what a part says of itself', async (t) => {
  const said = (model: SeesawModel) => {
    const bench = new Bench(model);
    return [bench.ask('00 01', 1), bench.ask('00 02', 4)?.slice(0, 4), bench.ask('00 03', 4)];
  };
  t.same(said(new SeesawEncoderModel()), ['55', '137f', '00024803']);
  t.same(said(new SeesawQuadEncoderModel()), ['87', '1678', null]);
  t.same(said(new NeoSliderModel()), ['87', '14af', null]);
  t.same(said(new NeoTrellisModel()), ['55', '0000', '00014803']);
});

t.test('registers, pins and keys that a part does not have', async (t) => {
  const refused = (model: SeesawModel, hex: string, complaint: RegExp) => {
    const bench = new Bench(model);
    t.equal(bench.write(hex), null, hex);
    t.match(bench.complaint(), complaint, hex);
  };
  refused(new SeesawEncoderModel(), '10 04', /no module 10/);
  refused(new SeesawEncoderModel(), '11 31 00 00 00 00', /no encoder 1/);
  refused(new SeesawEncoderModel(), '11 10', /takes 1 bytes, not 0/);
  refused(new SeesawEncoderModel(), '01 03 00 00 10 00', /pins 1000/);
  refused(new SeesawEncoderModel(), '01 06 01 00 00 00', /no register 6/);
  refused(new SeesawQuadEncoderModel(), '01 03 01 00 00 00', /pins 1000000/);
  refused(new NeoSliderModel(), '09 07', /nothing to convert at register 7/);
  refused(new NeoTrellisModel(), '10 01 04 11', /no key 4/);
  refused(new NeoTrellisModel(), '10 01 00', /takes 2 bytes, not 1/);
  refused(new NeoTrellisModel(), '0e', /without a register/);
  refused(new NeoTrellisModel(), '00 7f', /00 7f ff/);
});

t.test('pixels: bounds of the buffer, one write, and the silence after a show', async (t) => {
  const bench = new Bench(new NeoTrellisModel());
  bench.write('0e 04 00 00 ff');
  t.match(bench.complaint(), /pixel data up to 1 of 0/);
  bench.write('0e 03 00 41');
  t.match(bench.complaint(), /65 bytes of pixels are too many/);
  bench.write('0e 01 05');
  t.match(bench.complaint(), /no pixels at pin 5/);
  for (const hex of ['0e 01 03', '0e 03 00 30']) bench.write(hex);
  bench.write(`0e 04 00 2f ${'ff'.repeat(2)}`);
  t.match(bench.complaint(), /pixel data up to 49 of 48/);
  bench.write(`0e 04 00 00 ${'ff'.repeat(29)}`);
  t.match(bench.complaint(), /33 bytes in one write/);
  bench.write('0e 05');
  bench.nowMs += 0.7;
  bench.write('0e 05');
  t.match(bench.complaint(), /before they took/);
  bench.nowMs += 0.1;
  bench.write('0e 05');
  t.equal(bench.complaint(), undefined);
});

t.test('a switch reads right only with its pull-up', async (t) => {
  const model = new SeesawEncoderModel();
  const bench = new Bench(model);
  const pins = () => bench.ask('01 04', 4);
  t.same([pins(), pins()], ['01000000', '00000000'], 'floating');
  bench.write('01 03 01 00 00 00');
  bench.write('01 0b 01 00 00 00');
  t.same([pins(), pins()], ['00000000', '00000000'], 'pulled down');
  bench.write('01 05 01 00 00 00');
  t.same([pins(), pins()], ['01000000', '01000000'], 'pulled up');
  model.press(0);
  t.equal(pins(), '00000000');
  model.release(0);
  t.equal(pins(), '01000000');
});

t.test('the interrupt line: only when asked for, until it was read', async (t) => {
  const encoder = new SeesawEncoderModel();
  const bench = new Bench(encoder);
  encoder.turn(0, 1);
  encoder.press(0);
  t.notOk(encoder.isInterrupting);
  bench.write('01 08 01 00 00 00');
  bench.write('11 10 01');
  encoder.turn(0, 1);
  t.ok(encoder.isInterrupting);
  t.equal(bench.ask('11 30', 4), 'fffffffe', 'clockwise counts down');
  t.notOk(encoder.isInterrupting);
  encoder.release(0);
  t.ok(encoder.isInterrupting);
  bench.ask('01 04', 4);
  t.notOk(encoder.isInterrupting);
});

t.test('the queue of keys: only edges that were asked for, 127 at most', async (t) => {
  const model = new NeoTrellisModel();
  const bench = new Bench(model);
  model.pressKey(5);
  t.equal(bench.ask('10 04', 1), '00');
  bench.write('10 01 09 11');
  model.releaseKey(5);
  model.pressKey(5);
  t.equal(bench.ask('10 04', 1), '01');
  t.equal(bench.ask('10 10', 3), '27ffff');
  for (let n = 0; n < 200; n++) model.pressKey(5);
  t.equal(bench.ask('10 04', 1), '7f');
  t.same(bench.bus.protocolErrors, []);
});
