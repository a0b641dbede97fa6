/**
 * The demo as somebody with a laptop meets it: `surfaced demo`, its page in a real browser, and kubectl in another
 * terminal. With SURFACED_PICTURES=1 it takes the picture of the README too.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Locator, type Page } from 'playwright-core';
import t from 'tap';
import { travelOf } from '../../daemon/surface/scale.ts';
import { withoutSwtpm } from '../../hil/software-tpm.ts';
import { chromiumArguments, chromiumPath, noChromium } from '../chromium.ts';
import { startDemoProcess } from './demo-process.ts';
import { kubectl, noKubectl } from './processes.ts';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** Limits of the demo's bindings that are moved here. */
const limits = { min: 1, max: 8, step: 1 };
const cartLimits = { ...limits, min: 0 };

/** The demo's page with hands on it. */
class Hands {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  control(name: string): Locator {
    return this.page.locator(`[data-control="${name}"]`);
  }

  /** The display over the control of a workload. */
  strip(name: string): Locator {
    return this.page.locator('.scribble', { has: this.page.locator(`.name:text-is("${name}")`) });
  }

  /** Resolves when the display of a workload says this. */
  async says(name: string, text: string | RegExp): Promise<void> {
    await this.strip(name).filter({ hasText: text }).waitFor();
  }

  /** Resolves when so many lights, and no more, have a colour. */
  async lit(hex: string, count: number): Promise<void> {
    const lights = this.page.locator(`.matrix .light[data-hex="${hex}"]`);
    // Most often lights are on their way; the one after the last is looked at when the last is there.
    if (count > 0) await lights.nth(count - 1).waitFor();
    await lights.nth(count).waitFor({ state: 'detached' });
  }

  /** Drags the cap of a fader from where it is to a number, through everything between. */
  async drag(fader: string, to: number, { min, max, step } = limits): Promise<void> {
    const track = this.control(fader);
    const cap = await track.locator('.cap').boundingBox();
    const all = await track.boundingBox();
    if (!cap || !all) throw new Error(`${fader} is not on the page`);
    const x = cap.x + cap.width / 2;
    const y = cap.y + cap.height / 2;
    const bottom = all.y + all.height - cap.height / 2;
    const target = bottom - travelOf({ min, max, step }, to) * (all.height - cap.height);
    await this.page.mouse.move(x, y);
    await this.page.mouse.down();
    await this.page.mouse.move(x, target, { steps: 20 });
    await this.page.mouse.up();
  }

  /** Holds ARM with the mouse until the request is gone. */
  async holdArm(): Promise<void> {
    await this.control('arm').hover();
    await this.page.mouse.down();
    await this.page.locator('.arm.waiting').waitFor({ state: 'detached' });
    await this.page.mouse.up();
  }

  /** Waits for a line in the journal. */
  async reads(pattern: RegExp): Promise<string> {
    const line = this.page.locator('.journal li').filter({ hasText: pattern }).first();
    await line.waitFor();
    return (await line.textContent()) ?? '';
  }
}

t.test('the demo in a browser', { skip: noChromium || noKubectl, timeout: 110_000 }, async (t) => {
  const demo = await startDemoProcess();
  t.teardown(() => demo.process.end('SIGTERM'));
  const { kubeconfig } = demo;
  const shop = (...args: readonly string[]) => kubectl(kubeconfig, '-n', 'shop', ...args);
  /** Resolves when kubectl sees this number in the spec. */
  const asked = async (namespace: string, target: string, replicas: number): Promise<string> =>
    kubectl(
      kubeconfig,
      ...['wait', '-n', namespace, target, `--for=jsonpath={.spec.replicas}=${replicas}`, '--timeout=20s'],
    );
  const replicas = (target: string) => shop('get', target, '-o', 'jsonpath={.spec.replicas}');

  const browser = await chromium.launch({ executablePath: chromiumPath, args: chromiumArguments });
  t.teardown(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'dark' });
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  const hands = new Hands(page);
  await page.goto(demo.url);

  await hands.says('cart', '3/3');
  const topOfFader = async () => (await hands.control('fader3').boundingBox())?.y ?? 0;
  const topAtStart = await topOfFader();

  await t.test('says what it is and shows what is there', async (t) => {
    await hands.says('search', '4/4');
    const tapes = withoutSwtpm
      ? /SIMULATED CLUSTER\s*NOT ATTESTED/
      : /SIMULATED CLUSTER\s*SOFTWARE TPM, LEVEL 1\s*CODE \d{4}-\d{4}/;
    await page.locator('.tapes', { hasText: tapes }).waitFor();
    t.match(await page.locator('.terminal').textContent(), kubeconfig, 'the path that the terminal shows');
    await hands.lit('0072b2', 3);
    await hands.lit('f0e442', 4);
    t.match(await hands.strip('web').textContent(), 'autoscaler web');
  });

  await t.test('a fader without a motor picks the value up before it sets it', async (t) => {
    await hands.drag('fader4', 2);
    await hands.says('search', 'move up');
    await hands.drag('fader4', 3);
    t.equal(await replicas('deployment/search'), '4', 'below the value it does nothing');
    await hands.drag('fader4', 7);
    t.match(await asked('shop', 'deployment/search', 7), 'condition met');
    await hands.says('search', '7/7');
    await hands.lit('f0e442', 7);
    t.match(await hands.reads(/search/), /done/);
  });

  await t.test('an encoder turns by keyboard', async (t) => {
    await hands.control('encoder1').focus();
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowUp');
    t.match(await asked('shop', 'statefulset/db', 4), 'condition met');
    await hands.lit('56b4e9', 4);
  });

  await t.test('zero replicas wait for ARM', async (t) => {
    await hands.drag('fader1', 0, cartLimits);
    await page.locator('.arm-words b', { hasText: 'cart → 0' }).waitFor();
    t.match(await page.locator('.arm-words').textContent(), 'zero replicas');
    t.equal(await replicas('deployment/cart'), '3', 'nothing is done yet');
    await hands.holdArm();
    t.match(await asked('shop', 'deployment/cart', 0), 'condition met');
    await hands.lit('0072b2', 0);
  });

  await t.test('what an autoscaler owns is armed, and told when it is taken back', async (t) => {
    await hands.drag('fader2', 8);
    await page.locator('.arm-words', { hasText: 'an autoscaler decides' }).waitFor();
    await hands.holdArm();
    t.match(await asked('shop', 'deployment/web', 8), 'condition met');
    t.match(await hands.reads(/web.*autoscaler/), /reverted.*(?:autoscaler|HorizontalPodAutoscaler)/);
    t.match(await asked('shop', 'deployment/web', 6), 'condition met');
    await hands.says('web', '/6');
  });

  await t.test('a quota blocks, with its reason on the strip; undo takes it back', async (t) => {
    await hands.control('encoder4').focus();
    await page.keyboard.press('End');
    t.match(await asked('tight', 'deployment/batch', 8), 'condition met');
    await hands.says('batch', 'quota exceeded');
    t.match(await hands.strip('batch').getAttribute('title'), /limited: pods=5|quota/);
    t.match(await hands.reads(/batch/), /blocked/);
    await hands.control('undo').click();
    t.match(await asked('tight', 'deployment/batch', 2), 'condition met');
    await hands.says('batch', '2/2');
  });

  await t.test('what others do is seen', async () => {
    await shop('scale', 'deployment/checkout', '--replicas=5');
    await hands.says('checkout', '5/5');
    await hands.lit('009e73', 5);
  });

  const movedPixels = Math.abs((await topOfFader()) - topAtStart);
  t.ok(movedPixels < 1, `what is told does not move the controls under the hand (${movedPixels} px)`);

  const noPicture = process.env.SURFACED_PICTURES === '1' ? false : 'SURFACED_PICTURES=1 takes it';
  await t.test('the picture of the README', { skip: noPicture }, async () => {
    await shop('annotate', 'deployment/flaky', 'sim.surfaced.dev/behaviour=crash');
    await hands.says('flaky', /crash/);
    await hands.control('encoder4').focus();
    await page.keyboard.press('End');
    await hands.says('batch', 'quota exceeded');
    await shop('scale', 'deployment/search', '--replicas=5');
    await hands.says('search', '5/5');
    await hands.control('encoder2').focus();
    await page.keyboard.press('PageUp');
    await hands.drag('fader1', 6, cartLimits);
    await hands.drag('fader2', 8);
    await page.locator('.arm.waiting').waitFor();
    await hands.control('fader2').blur();
    await page.locator('.matrix .light[data-hex="e69f00"]').nth(5).waitFor();
    await page.locator('.matrix .light[data-hex="cc79a7"]').first().waitFor();
    await page.screenshot({ path: path.join(root, 'docs/images/panel.png') });
  });

  t.same(complaints, [], 'no error in the console');
});
