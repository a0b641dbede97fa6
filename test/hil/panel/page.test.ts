/** The page in a real browser: what hands do arrives as events, what the surface shows is seen. */
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import t, { type Test } from 'tap';
import type { ControlEvent, ControlFeedback, Rgb } from '../../../daemon/surface/types.ts';
import { chromiumArguments, chromiumPath, noChromium } from '../../chromium.ts';
import { frame, type Rig, startRig, strip } from './rig.ts';

const source = fileURLToPath(new URL('../../../hil/sim/panel/page', import.meta.url));

/** Builds the page as the product's build does. */
async function buildPage(folder: string): Promise<string> {
  await build({
    entryPoints: [path.join(source, 'main.tsx')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    outfile: path.join(folder, 'main.js'),
    logLevel: 'warning',
  });
  for (const file of ['index.html', 'icon.svg'])
    copyFileSync(path.join(source, file), path.join(folder, file));
  return folder;
}

const control = (page: Page, name: string): Locator => page.locator(`[data-control="${name}"]`);

async function centre(locator: Locator): Promise<{ x: number; y: number }> {
  await locator.scrollIntoViewIfNeeded();
  const box = await locator.boundingBox();
  if (!box) throw new Error('not on the page');
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

const of = (events: readonly ControlEvent[], name: string): ControlEvent[] =>
  events.filter((event) => 'control' in event && event.control === name);

const lit = (light: Rgb, position: number | null = null): ControlFeedback => ({
  position,
  ring: position,
  light,
  hint: null,
});

t.test('the page in a browser', { skip: noChromium }, async (t) => {
  const pageDir = await buildPage(t.testdir({}));
  const browser: Browser = await chromium.launch({
    executablePath: chromiumPath,
    args: chromiumArguments,
  });
  t.teardown(() => browser.close());

  /** What the browser complained about: an exception, or the content security policy at work. */
  const complaints: string[] = [];

  /** A fresh panel with one page of it. */
  async function open(
    t: Test,
    options: Parameters<Browser['newContext']>[0] = {},
  ): Promise<Rig & { page: Page }> {
    const rig = await startRig({ pageDir });
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('ERR_CONNECTION'))
        complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    rig.panel.show(
      frame({ strips: [strip('fader1'), strip('fader3', { slot: 1 }), strip('encoder1', { slot: 2 })] }),
    );
    await page.goto(rig.server.url);
    await control(page, 'fader3').waitFor();
    rig.events.all.length = 0;
    t.teardown(async () => {
      await context.close();
      await rig.server.close();
    });
    return { ...rig, page };
  }

  await t.test('keys have the names that the panel gives them', async (t) => {
    const controls = [
      { name: 'fader1', kind: 'fader' },
      { name: 'record', kind: 'button' },
    ] as const;
    const spec = { model: 'another panel', controls, matrix: null, roles: { arm: 'record' } };
    const { server, events } = await startRig({ pageDir }, spec);
    const page = await browser.newPage();
    t.teardown(async () => {
      await page.close();
      await server.close();
    });
    await page.goto(server.url);
    await control(page, 'record').click();
    await events.find(({ type }) => type === 'release');
    t.same(of(events.all, 'record'), [
      { type: 'press', control: 'record' },
      { type: 'release', control: 'record' },
    ]);
  });

  await t.test('a fader follows the mouse', async (t) => {
    const { page, events } = await open(t);
    const cap = await centre(control(page, 'fader3').locator('.cap'));
    // By its upper edge: it must not jump to have its middle under the pointer.
    const y = cap.y - 18;
    await page.mouse.move(cap.x, y);
    await page.mouse.down();
    await page.mouse.move(cap.x, y - 6);
    await events.find(({ type }) => type === 'position');
    await page.mouse.move(cap.x, y - 60, { steps: 6 });
    await page.mouse.move(cap.x, 0, { steps: 6 });
    await page.mouse.up();
    await events.find((event) => event.type === 'position' && event.value === 1);
    const moves = of(events.all, 'fader3');
    t.ok(moves.length > 2, 'positions come as it moves');
    const values = moves.map((event) => (event.type === 'position' ? event.value : -1));
    t.same(
      values,
      values.toSorted((a, b) => a - b),
      'upwards',
    );
    t.ok(values[0]! > 0 && values[0]! < 0.08, `no jump: ${values[0]}`);
    t.equal(moves.length, events.all.length, 'nothing else happened');
  });

  await t.test('a fader with a touch sensor says when a finger is on it', async (t) => {
    const { page, events } = await open(t, { hasTouch: true, viewport: { width: 380, height: 760 } });
    const { x, y } = await centre(control(page, 'fader1').locator('.cap'));
    const session = await page.context().newCDPSession(page);
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', up = 0) =>
      session.send('Input.dispatchTouchEvent', {
        type,
        touchPoints: type === 'touchEnd' ? [] : [{ x, y: y - up }],
      });
    await touch('touchStart');
    await touch('touchMove', 30);
    await touch('touchMove', 90);
    await events.find((event) => event.type === 'position' && event.value > 0.3);
    await touch('touchEnd');
    await events.find((event) => event.type === 'touch' && !event.isTouched);
    const types = of(events.all, 'fader1').map(({ type }) => type);
    t.equal(types[0], 'touch', 'touched before it moves');
    t.equal(types.at(-1), 'touch', 'let go after it has moved');
    t.equal(await page.evaluate('scrollX'), 0, 'the page does not go along');
  });

  await t.test('everything works from the keyboard', async (t) => {
    const { page, events } = await open(t);
    const fader = control(page, 'fader3');
    await fader.focus();
    t.equal(await fader.getAttribute('role'), 'slider');
    await page.keyboard.press('End');
    await events.find((event) => event.type === 'position' && event.value === 1);
    t.equal(await fader.getAttribute('aria-valuenow'), '11');
    await page.keyboard.press('PageDown');
    await page.keyboard.press('ArrowDown');
    const down = await events.find((event) => event.type === 'position' && event.value < 0.75);
    t.match(down, { control: 'fader3' });
    t.equal(await fader.getAttribute('aria-valuenow'), '8');

    await control(page, 'encoder1').focus();
    await page.keyboard.press('ArrowUp');
    await events.find((event) => event.type === 'turn' && event.pulses === 1);
    await page.keyboard.press('ArrowLeft');
    await events.find((event) => event.type === 'turn' && event.pulses === -1);
    await page.keyboard.press('Enter');
    await events.find(({ type }) => type === 'release');
    t.same(
      of(events.all, 'encoder1-push').map(({ type }) => type),
      ['press', 'release'],
    );

    await control(page, 'arm').focus();
    await page.keyboard.down('Space');
    await events.find((event) => event.type === 'press' && event.control === 'arm');
    await page.keyboard.down('Space');
    t.notOk(
      events.all.some((event) => event.type === 'release' && event.control === 'arm'),
      'held',
    );
    await control(page, 'undo').focus();
    await events.find((event) => event.type === 'release' && event.control === 'arm');
    t.equal(of(events.all, 'arm').length, 2, 'repeats are not presses; what loses the focus is let go');
    await page.keyboard.up('Space');
  });

  await t.test('a knob turns by drag and by wheel, and a tap pushes it', async (t) => {
    const { page, events } = await open(t);
    const { x, y } = await centre(control(page, 'encoder1'));
    const sum = () =>
      of(events.all, 'encoder1').reduce((all, event) => all + (event.type === 'turn' ? event.pulses : 0), 0);
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x, y - 56, { steps: 8 });
    await page.mouse.up();
    await events.find(() => sum() === 5);
    await page.mouse.move(x, y);
    await page.mouse.wheel(0, 240);
    await events.find(() => sum() === 3);
    t.same(of(events.all, 'encoder1-push'), [], 'a turn is no push');
    await page.mouse.down();
    await page.mouse.up();
    await events.find(({ type }) => type === 'release');
    t.equal(sum(), 3, 'a push is no turn');
  });

  await t.test('shows what the surface shows', async (t) => {
    const { page, panel } = await open(t);
    const lights = new Map<number, Rgb>([
      [0, [255, 0, 0]],
      [63, [0, 64, 255]],
    ]);
    const arming = { want: 0, guards: ['zero'] as const, remainingMs: 4000, held: 0.5 };
    panel.show(
      frame(
        {
          strips: [
            strip('fader1', { desired: 6, ready: 2, arming }),
            strip('fader3', { slot: 1, name: 'pay', hint: 'up', desired: 9 }),
            strip('fader4', {
              slot: 2,
              notice: { phase: 'blocked', code: 'QuotaExceeded', text: 'pods: used 4, limited 4' },
            }),
          ],
          controls: new Map([['fader1', lit([9, 9, 9], 0.5)]]),
          bank: { index: 1, count: 3 },
          isLocked: true,
        },
        lights,
      ),
    );
    const cell = page.locator('.matrix .light');
    await page.locator('[data-hex=ff0000]').waitFor();
    t.equal(await cell.count(), 64);
    t.equal(await cell.nth(0).getAttribute('data-hex'), 'ff0000');
    t.equal(await cell.nth(63).getAttribute('data-hex'), '0040ff');
    const background = (index: number) =>
      page.evaluate(
        `getComputedStyle(document.querySelectorAll('.matrix .light')[${index}]).backgroundImage`,
      );
    t.match(await background(0), 'rgb(255, 0, 0)');
    t.match(await background(63), 'rgb(0, 64, 255)');
    t.match(
      await page.locator('.arm-words').textContent(),
      /cart → 0\s*zero replicas\s*hold to confirm · 4 s/,
    );
    t.match(await page.locator('.bank').textContent(), /2\/3/i);
    t.equal(await control(page, 'lock').getAttribute('aria-pressed'), 'true');
    t.equal(await page.locator('.ghost.up').textContent(), '9');
    t.equal(await page.locator('.ghost:not(.up, .down)').textContent(), '3', 'a fader that is elsewhere');
    t.match(await page.locator('.journal').textContent(), 'blocked: pods: used 4, limited 4');
    t.match(await page.locator('.tapes').textContent(), /SIMULATED CLUSTER\s*NOT ATTESTED/);
    t.match(
      await page.locator('.terminal').textContent(),
      'kubectl --kubeconfig /run/demo/kubeconfig -n shop',
    );
    await page.waitForFunction("document.querySelector('[data-control=fader1]').ariaValueNow === '6'");
    t.equal(
      await page.locator('.channel').nth(3).locator('.unbound').count(),
      2,
      'an encoder without binding',
    );
    const dim = page.locator('.plate.offline');
    t.equal(await dim.count(), 0);
    panel.show(frame({ link: { state: 'offline', detail: 'no gateway', isAttested: false } }));
    await dim.waitFor();
    t.match(await page.locator('.link').textContent(), 'no gateway');
  });

  await t.test('fits on a phone and on a desk', async (t) => {
    const { page } = await open(t);
    for (const width of [360, 380, 720, 1239, 1240, 1600]) {
      await page.setViewportSize({ width, height: 900 });
      const content = Number(await page.evaluate('document.documentElement.scrollWidth'));
      t.ok(content <= width, `${content} in ${width}`);
    }
  });

  await t.test('says so when the server is gone, does nothing then, and comes back', async (t) => {
    const { page, server, panel } = await open(t);
    await server.close();
    const overlay = page.locator('.overlay');
    await overlay.waitFor();
    t.match(await overlay.textContent(), 'Connection lost');
    t.equal(await page.locator('.bench[inert]').count(), 1, 'no control can be reached');
    const again = await startRig({ pageDir, port: server.port });
    t.teardown(() => again.server.close());
    again.panel.show(frame({ isLocked: true }));
    await overlay.waitFor({ state: 'detached' });
    t.equal(await control(page, 'lock').getAttribute('aria-pressed'), 'true', 'the new face');
    t.equal(panel.pageCount, 0);
  });

  t.same(complaints, [], 'the browser had nothing to complain about');
});
