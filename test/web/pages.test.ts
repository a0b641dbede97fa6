/** The pages in a real browser: who comes in, what they see, that it moves, and that it can be used by everybody. */
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import t from 'tap';
import { deploymentRef } from '../../hil/sim/cluster/cluster.ts';
import { noChromium } from '../chromium.ts';
import { desk, logIn, online, openBrowser, site, tokens, visitor } from './rig.ts';

const booth = desk.replace('desk', 'booth').replace(/bindings:[\s\S]*/, 'bindings: []\n');
const picture = new URL('../../docs/images/pages.png', import.meta.url).pathname;
const everyPage = [
  '/surfaces',
  '/surfaces/desk',
  '/surfaces/desk/evidence',
  '/approvals',
  '/bindings',
  '/commands',
  '/audit',
];

/** What somebody with a screen reader, or without a mouse, would stumble over; empty: nothing was found. */
const barriers = (page: Page): Promise<string[]> =>
  page.evaluate(`(() => {
    const found = [];
    const nameOf = (element) =>
      element.getAttribute('aria-label') ??
      (element.labels?.[0]?.textContent || element.textContent || '').trim();
    if (!document.documentElement.lang) found.push('the page has no language');
    if (document.title === '') found.push('the page has no title');
    if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
    if (document.querySelectorAll('main').length !== 1) found.push('not one main');
    let level = 0;
    for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
      const next = Number(heading.tagName[1]);
      if (next > level + 1) found.push('heading out of order: ' + heading.textContent);
      level = next;
    }
    for (const element of document.querySelectorAll('a, button, input:not([type=hidden]), select, textarea, meter, progress, [role=img], nav'))
      if (nameOf(element) === '') found.push('no name: ' + element.outerHTML.slice(0, 120));
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push('id twice: ' + id);
    for (const element of document.querySelectorAll('[aria-labelledby], [aria-describedby]'))
      for (const id of (element.getAttribute('aria-labelledby') ?? element.getAttribute('aria-describedby')).split(' '))
        if (!document.getElementById(id)) found.push('names what is not there: ' + id);
    for (const table of document.querySelectorAll('table'))
      if (!table.querySelector('th[scope]')) found.push('a table without heads');
    // Contrast of text (WCAG 2.2, 1.4.3): 4.5 to 1, against the nearest ground that is painted.
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const lightness = (colour) => {
      const [r, g, b] = rgb(colour).map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const groundOf = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const { backgroundColor } = getComputedStyle(at);
        if (rgb(backgroundColor)[3] !== 0) return backgroundColor;
      }
      return 'rgb(255, 255, 255)';
    };
    for (const element of document.querySelectorAll('body *')) {
      if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '')) continue;
      if (element.closest('.unseen, script, title, option, datalist')) continue;
      const [one, other] = [lightness(getComputedStyle(element).color), lightness(groundOf(element))];
      const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      if (contrast < 4.5) found.push('contrast ' + contrast.toFixed(2) + ': ' + element.outerHTML.slice(0, 100));
    }
    return found;
  })()`);

t.test('the pages in a browser', { skip: noChromium, timeout: 170_000 }, async (t) => {
  const place = await site(t, { surfaces: [desk, booth] });
  const { url, cluster } = place;
  await online(t, place);
  const browser = await openBrowser(t);

  await t.test('nobody comes in with a wrong token, or without the right to look', async (t) => {
    const { page, complaints } = await visitor(t, browser);
    await page.goto(`${url}/surfaces/desk`);
    t.equal(page.url(), `${url}/login`, 'every page leads to the log-in');
    await logIn(page, url, 'a token of nobody');
    t.match(await page.getByRole('alert').textContent(), /does not know this token/);
    await logIn(page, url, tokens.nobody);
    t.match(
      await page.getByRole('alert').textContent(),
      /You are nick.*get controlsurfaces\.surfaced\.dev in namespace surfaced.*create role/,
    );
    await page.goto(`${url}/surfaces`);
    t.equal(page.url(), `${url}/login`, 'and there is no session');
    // Statuses of 401 and 403 are told in the console; nothing else is.
    t.same(
      complaints.filter((text) => !/status of 40[13]/.test(text)),
      [],
    );
  });

  await t.test('somebody who may look sees what is, and may not decide', async (t) => {
    const { page } = await visitor(t, browser);
    await logIn(page, url, tokens.viewer);
    await page.waitForURL(`${url}/surfaces`);
    await page.goto(`${url}/surfaces/desk`);
    t.match(
      await page.getByRole('main').textContent(),
      /You may not do this: it needs update controlsurfaces/,
    );
    t.equal(await page.getByRole('button', { name: 'Revoke' }).count(), 0);
  });

  const { page, context, complaints } = await visitor(t, browser);
  await logIn(page, url, tokens.operator);
  await page.waitForURL(`${url}/surfaces`);

  await t.test('panels are live', async (t) => {
    await page.getByText('Live.', { exact: true }).waitFor();
    const cart = page.locator('#panel-desk .slot', { hasText: 'cart' });
    await cart.locator('.lights .ready').nth(2).waitFor();
    t.match(await cart.locator('.numbers').textContent(), /^3\/3/);
    t.equal(await cart.getByRole('img').getAttribute('aria-label'), '3 Pods: 3 ready');
    t.match(await page.locator('#panel-desk').textContent(), /online.*Desk of the tests.*firmware 1\.2\.3/s);
    cluster.control.setReplicas(deploymentRef('shop', 'cart'), 'kubectl', 5);
    await cart.getByLabel('5 Pods: 5 ready').waitFor();
    t.match(await cart.locator('.numbers').textContent(), /^5\/5/, 'without a reload');
    t.match(await page.locator('#panel-desk .slot', { hasText: 'flaky' }).textContent(), /blocked/);
    cluster.control.setImageBroken(deploymentRef('shop', 'web'), true);
    cluster.control.setReplicas(deploymentRef('shop', 'web'), 'kubectl', 6);
    await page.locator('#panel-desk .slot[data-state="blocked"]', { hasText: 'web' }).waitFor();
    await page.locator('#says', { hasText: 'web on desk: blocked' }).waitFor({ state: 'attached' });
    t.pass('a state that changes is said to screen readers');
  });

  const noPicture = process.env.SURFACED_PICTURES === '1' ? false : 'SURFACED_PICTURES=1 takes it';
  await t.test('the picture of docs/pages.md', { skip: noPicture }, async () => {
    await page.setViewportSize({ width: 1280, height: 760 });
    await page.screenshot({ path: picture });
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  await t.test('bindings say whether the target is there, and what the surface may do', async (t) => {
    await page.goto(`${url}/bindings?q=desk`);
    const row = (control: string) => page.getByRole('row').filter({ hasText: control });
    t.match(
      await row('fader1').textContent(),
      /shop\/cart.*there, asked 5, ready 5.*may not update deployments\/scale/s,
    );
    t.match(await row('encoder1').textContent(), /not there/);
    t.match(await row('fader2').textContent(), /autoscaler web decides, too/);
    t.match(await page.getByRole('main').textContent(), /surfaced rbac desk\.yaml \| kubectl apply -f -/);
  });

  await t.test('every page is sound for everybody', async (t) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      for (const path of everyPage) {
        await page.goto(`${url}${path}`);
        t.same(await barriers(page), [], `${path}, ${colorScheme}`);
      }
    }
    await page.setViewportSize({ width: 320, height: 640 });
    for (const path of everyPage) {
      await page.goto(`${url}${path}`);
      const wider = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      t.ok(Number(wider) <= 0, `${path} fits in 320 pixels (${String(wider)} more)`);
    }
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  await t.test('the keyboard is enough, and one sees where it is', async (t) => {
    await page.goto(`${url}/surfaces`);
    const focused = () =>
      page.evaluate(`(() => {
        const { activeElement: at } = document;
        return [at.textContent.trim() || at.id, getComputedStyle(at).outlineStyle];
      })()`) as Promise<[string, string]>;
    const seen: string[] = [];
    for (let step = 0; step < 10; step++) {
      await page.keyboard.press('Tab');
      const [name, outline] = await focused();
      t.not(outline, 'none', `${name} shows that it has the focus`);
      seen.push(name);
    }
    t.same(seen.slice(0, 8), [
      ...['Skip to content', 'Surfaces', 'Approvals', 'Bindings', 'Commands', 'Audit', 'Log out', 'q'],
    ]);
    await page.goto(`${url}/surfaces`);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    t.equal(await page.evaluate('document.activeElement.id'), 'main', 'past the navigation');
  });

  await t.test('without scripts the pages still render', async (t) => {
    const { page: plain } = await visitor(t, browser, {
      javaScriptEnabled: false,
      storageState: await context.storageState(),
    });
    await plain.goto(`${url}/surfaces`);
    t.match(await plain.getByRole('main').textContent(), /when the page was opened.*cart.*5\/5/s);
  });

  await t.test('one page is small', async (t) => {
    // With nothing in its cache.
    const { page: measured } = await visitor(t, browser, { storageState: await context.storageState() });
    const bodies: Promise<number>[] = [];
    const files: string[] = [];
    measured.on('response', (response) => {
      const { pathname } = new URL(response.url());
      if (pathname === '/events') return;
      files.push(pathname);
      bodies.push(response.body().then((body) => gzipSync(body).length));
    });
    await measured.goto(`${url}/surfaces`, { waitUntil: 'load' });
    await measured.getByText('Live.', { exact: true }).waitFor();
    const bytes = (await Promise.all(bodies)).reduce((sum, each) => sum + each, 0);
    t.match(files, ['/surfaces', '/assets/pages.css', '/assets/live.js']);
    t.comment(`${bytes} bytes compressed: ${files.join(', ')}`);
    t.ok(bytes < 150_000, `${bytes} bytes`);
  });

  await t.test('a surface is revoked after its name was typed', async (t) => {
    await page.goto(`${url}/surfaces/booth`);
    await page.getByLabel('Name of the surface').fill('desk');
    await page.getByRole('button', { name: 'Revoke' }).click();
    t.match(await page.getByRole('alert').textContent(), /type booth to confirm/);
    await page.getByLabel('Name of the surface').fill('booth');
    await page.getByRole('button', { name: 'Revoke' }).click();
    t.match(await page.locator('.notice.done').textContent(), /booth is revoked/);
    await page.locator('#panel-booth .trust-revoked').waitFor();
    await page.goto(`${url}/audit?kind=operator`);
    t.match(await page.getByRole('row').nth(1).textContent(), /operator.*booth.*olga: revoke/s);
  });

  await t.test('logged out is out, also on pages that are open', async (t) => {
    const other = await context.newPage();
    await other.goto(`${url}/surfaces`);
    await other.getByText('Live.', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.waitForURL(`${url}/login`);
    await other.waitForURL(`${url}/login`);
    const answer = await context.request.get(`${url}/surfaces`, { maxRedirects: 0 });
    t.equal(answer.headers().location ?? answer.status(), answer.headers().location ? '/login' : 401);
    await page.goBack();
    await page.waitForURL(`${url}/login`);
    t.pass('nor does the way back show anything');
  });

  t.same(complaints, [], 'the console is quiet: no content policy was broken');
});
