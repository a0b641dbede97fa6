/** A TPM that knocks is approved in a browser: only by who may, and only with the code that its panel shows. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { withoutSwtpm } from '../attest/tpm2/live/swtpm.ts';
import { noChromium } from '../chromium.ts';
import { logIn, openBrowser, site, tokens, visitor } from './rig.ts';
import { surface } from './tpm.ts';

t.test('approved in a browser', { skip: noChromium || withoutSwtpm, timeout: 120_000 }, async (t) => {
  const place = await site(t);
  const { url, gateway, folder } = place;
  const attest = await surface(t, place);
  await t.rejects(attest(), { code: 'E_ENROL_QUARANTINE' });
  const [waiting] = gateway.trust.quarantine();
  const code = waiting?.pairingCode ?? '';
  const key = waiting?.ekSha256 ?? '';
  const browser = await openBrowser(t);

  const { page: viewed } = await visitor(t, browser);
  await logIn(viewed, url, tokens.viewer);
  await viewed.waitForURL(`${url}/surfaces`);
  await viewed.goto(`${url}/approvals`);
  t.match(
    await viewed.getByRole('main').textContent(),
    /You may not decide: it needs update surfacerequests/,
  );
  t.equal(await viewed.getByRole('link', { name: 'Decide' }).count(), 0);
  await viewed.goto(`${url}/approvals/${key}`);
  t.equal(await viewed.getByRole('button', { name: 'Approve' }).count(), 0);

  const { page, complaints } = await visitor(t, browser);
  await logIn(page, url, tokens.operator);
  await page.waitForURL(`${url}/surfaces`);
  t.match(await page.getByRole('link', { name: 'Approvals' }).textContent(), /1 waiting/);
  await page.getByRole('link', { name: 'Approvals' }).click();
  t.equal(await page.locator('.code').textContent(), code);
  const shown = (await page.locator('.hash').first().textContent()) ?? '';
  t.equal(shown.replaceAll(/\s/g, ''), key, 'the whole fingerprint');
  await page.getByRole('link', { name: 'Decide' }).click();
  t.notMatch(await page.content(), new RegExp(code), 'the code is to be read from the panel, not from here');

  await page.getByLabel('Surface that it is to be').fill('lobby');
  await page.getByLabel('Code that the panel shows').fill('0000-0000');
  await page.getByRole('button', { name: 'Approve' }).click();
  t.match(await page.getByRole('alert').textContent(), /the code that you typed is not the one of this TPM/);
  t.equal(gateway.trust.quarantine().length, 1);

  await page.getByLabel('Surface that it is to be').fill('lobby');
  await page.getByLabel('Code that the panel shows').fill(code);
  await page.getByRole('button', { name: 'Approve' }).click();
  t.match(await page.locator('.notice.done').textContent(), /lobby is approved/);
  const file = await readFile(path.join(folder, 'surfaces', 'lobby.yaml'), 'utf8');
  t.match(file, new RegExp(`ekSha256: ${key}`));
  if (gateway.trust.of('lobby') === null)
    await new Promise<void>((resolve) =>
      gateway.trust.onChange(() => gateway.trust.of('lobby') !== null && resolve()),
    );
  t.match(await attest(), { surface: 'lobby', trust: 'tpm', level: 0 });

  await page.goto(`${url}/surfaces/lobby/evidence`);
  const text = (await page.getByRole('main').textContent()) ?? '';
  t.match(text, /trusted, level 0/);
  t.match(text, /This TPM answered a fresh challenge/);
  t.match(text, /signature.*Is the quote signed by the attestation key\?.*passed/s);
  await page.screenshot({ path: path.join(folder, 'evidence.png'), fullPage: true });
  await page.goto(`${url}/audit?surface=lobby`);
  const trail = (await page.getByRole('main').textContent()) ?? '';
  t.match(trail, /verdict.*lobby.*trusted, level 0/s);
  t.match(trail, new RegExp(`olga: approve, TPM ${key}`));
  t.same(complaints, []);
});
