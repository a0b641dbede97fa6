/** The audit trail in a browser: search, and a verification that finds what somebody has changed. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { ackTopic, upTopic } from '../../daemon/bridge/wire/topics.ts';
import { noChromium } from '../chromium.ts';
import { logIn, online, openBrowser, site, tokens, visitor } from './rig.ts';

t.test('the audit trail in a browser', { skip: noChromium, timeout: 120_000 }, async (t) => {
  const place = await site(t);
  const { url, folder, gateway } = place;
  const client = await online(t, place);
  await client.subscribe(ackTopic('site', 'desk'));
  for (let count = 1; count <= 70; count++) {
    const command = {
      v: 1,
      id: `session-01-${count}`,
      slot: 60,
      want: 2,
      saw: 1,
      issuedAt: Date.now(),
      ttlMs: 2000,
    };
    client.publish(upTopic('site', 'desk', 'cmd'), JSON.stringify(command));
    await client.next(
      (packet) => packet.cmd === 'publish' && String(packet.payload).includes(`01-${count}"`),
    );
  }
  const log = path.join(folder, 'state', 'audit', '000001.jsonl');
  while (!(await readFile(log, 'utf8')).includes('session-01-70"'))
    await new Promise((go) => setTimeout(go, 20));

  const browser = await openBrowser(t);
  const { page, complaints } = await visitor(t, browser);
  await logIn(page, url, tokens.operator);
  await page.waitForURL(`${url}/surfaces`);
  const rows = () => page.locator('tbody tr').count();

  await t.test('search, and page by page from the end', async (t) => {
    await page.goto(`${url}/commands`);
    t.equal(await rows(), 50);
    t.match(await page.locator('tbody tr').first().textContent(), /desk.*UnknownSlot.*session-01-70/s);
    await page.getByRole('link', { name: 'Older' }).click();
    t.equal(await rows(), 20);
    t.match(await page.getByRole('main').textContent(), /that was the beginning/);
    await page.goto(`${url}/audit`);
    await page.getByLabel('Text').fill('session-01-33"');
    await page.getByRole('button', { name: 'Search' }).click();
    t.equal(await rows(), 1);
    await page.goto(`${url}/audit`);
    await page.getByLabel('Kind').selectOption('gateway');
    await page.getByRole('button', { name: 'Search' }).click();
    t.match(await page.locator('tbody tr').first().textContent(), /gateway.*started, version/s);
    await page.goto(`${url}/audit?surface=nobody`);
    t.match(await page.getByRole('main').textContent(), /No record fits/);
    await page.goto(`${url}/audit?from=2001-01-01T00:00&to=2001-01-02T00:00`);
    t.match(await page.getByRole('main').textContent(), /No record fits/);
    await page.goto(`${url}/audit?before=nonsense&from=x&text=${'%00'.repeat(30)}`);
    t.match(await page.getByRole('main').textContent(), /No record fits/, 'nonsense is no defect');
  });

  await t.test('a log that is whole, and one that is not', async (t) => {
    const verify = async (): Promise<string> => {
      await page.goto(`${url}/audit`);
      await page.getByRole('button', { name: 'Verify the log' }).click();
      const outcome = page.locator('#verification [data-over]');
      await outcome.waitFor();
      return (await outcome.textContent()) ?? '';
    };
    t.match(await verify(), /The log is sound\. \d+ records in 1 files/);
    const text = await readFile(log, 'utf8');
    await writeFile(log, text.replace('session-01-40"', 'session-01-41"'));
    t.match(await verify(), /The log is NOT sound.*line \d+.*it does not chain/s);
    t.match(await page.locator('#verification .verdict').getAttribute('class'), /bad/);
  });

  t.same(complaints, []);
  t.ok(gateway.health().parts.audit);
});
