/** The demo with `--device`: a Launchpad at the end of a pseudo-terminal and its twin on the page. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { noSocat } from '../hw/ports/socat.ts';
import { PageClient, startDemoProcess } from './demo-process.ts';
import { Launchpad } from './launchpad.ts';
import { kubectl, noKubectl } from './processes.ts';

const example = new URL('../../docs/examples/launchpad.yaml', import.meta.url).pathname;
/** Notes of the top row of pads. */
const topRow = [81, 82, 83, 84, 85, 86, 87, 88];

t.test('a panel and its page show and do the same', { skip: noSocat || noKubectl }, async (t) => {
  const dir = t.testdir({});
  const link = path.join(dir, 'launchpad');
  const pad = await Launchpad.plug(link);
  t.teardown(() => pad.unplug());
  const file = path.join(dir, 'launchpad.yaml');
  const text = readFileSync(example, 'utf8').replace(/port: .*/, `port: { type: pty, path: ${link} }`);
  writeFileSync(file, text);
  const demo = await startDemoProcess('--device', file);
  t.teardown(() => demo.process.end('SIGTERM'));
  t.match(demo.banner, `launchpad-mini-mk3 on ${link}; the page is its twin`);
  const page = await PageClient.open(demo.url);
  t.teardown(() => page.close());
  await page.live('cart');

  const lit = (): number => topRow.filter((note) => !/^(?:|0,0,0)$/.test(pad.lights.get(note) ?? '')).length;
  const shown = (): number =>
    (page.face.matrix?.hex.slice(0, 48).match(/.{6}/g) ?? []).filter((hex) => hex !== '000000').length;
  const asked = (count: number): Promise<string> =>
    kubectl(
      demo.kubeconfig,
      ...[
        'wait',
        '-n',
        'shop',
        'deployment/cart',
        `--for=jsonpath={.spec.replicas}=${count}`,
        '--timeout=20s',
      ],
    );
  const both = async (count: number): Promise<void> => {
    await page.until(() => page.strip('cart')?.ready === count && shown() === count);
    await pad.until(() => lit() === count);
  };
  await pad.until(() => pad.isInProgrammerMode);
  await both(3);

  pad.press(86);
  t.match(await asked(6), 'condition met', 'the sixth pad asks for six');
  pad.release(86);
  await both(6);

  page.send({ type: 'turn', control: 'row1', pulses: -2 });
  t.match(await asked(4), 'condition met', 'the page turns what the panel has as a row of pads');
  await both(4);

  await demo.process.end('SIGTERM');
  await pad.until(() => !pad.isInProgrammerMode);
  t.equal(lit(), 0, 'the panel is left dark and in its own mode');
});

t.test('a panel that is not there is shown and used when it comes', { skip: noSocat }, async (t) => {
  const dir = t.testdir({});
  const link = path.join(dir, 'launchpad');
  const file = path.join(dir, 'launchpad.yaml');
  writeFileSync(
    file,
    readFileSync(example, 'utf8').replace(/port: .*/, `port: { type: pty, path: ${link} }`),
  );
  t.notOk(existsSync(link));
  const demo = await startDemoProcess('--device', file);
  t.teardown(() => demo.process.end('SIGTERM'));
  const page = await PageClient.open(demo.url);
  t.teardown(() => page.close());
  await page.live('cart');
  await page.until(() => page.health?.parts.panel?.ok === false);
  t.match(page.health?.parts.panel?.detail, link, 'the page says which');
  page.send({ type: 'turn', control: 'row1', pulses: 1 });
  await page.until(() => page.strip('cart')?.ready === 4);

  const pad = await Launchpad.plug(link);
  t.teardown(() => pad.unplug());
  await pad.until(() => pad.isInProgrammerMode && topRow.filter((note) => pad.lights.has(note)).length > 0);
  await page.until(() => page.health?.ok === true);
});
