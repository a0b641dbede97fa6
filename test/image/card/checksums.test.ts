import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { releaseFile, sumsText, writeSums } from '../../../image/card/checksums.ts';
import { hostTools, missingPrograms } from './host-tools.ts';

t.test('sums as sha256sum has them', { skip: missingPrograms('sha256sum') }, async (t) => {
  const folder = t.testdir({ 'b.img': 'image', 'a.json': '', 'c d.txt': 'with a space' });
  const files = await Promise.all(
    ['b.img', 'a.json', 'c d.txt'].map((name) => releaseFile(path.join(folder, name))),
  );
  t.same(
    files.map(({ bytes }) => bytes),
    [5, 0, 12],
  );
  await writeFile(path.join(folder, 'SHA256SUMS'), sumsText(files));
  const said = execFileSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: folder, encoding: 'utf8' });
  t.equal(said, 'a.json: OK\nb.img: OK\nc d.txt: OK\n');
});

t.test('the signature, checked as the guide says', { skip: missingPrograms('openssl') }, async (t) => {
  const folder = t.testdir({ 'image.img': 'image' });
  const at = (name: string): string => path.join(folder, name);
  const key = { certificate: at('cert.pem'), privateKey: at('key.pem') };
  const certify = [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
    ...['-subj', '/CN=surfaced test', '-addext', 'extendedKeyUsage=codeSigning'],
    ...['-keyout', key.privateKey, '-out', key.certificate],
  ];
  await hostTools.run('openssl', certify);
  const files = [await releaseFile(at('image.img'))];
  await writeSums({ tools: hostTools, folder, files, key });
  const check = [
    ...['cms', '-verify', '-binary', '-inform', 'DER', '-purpose', 'any', '-CAfile', key.certificate],
    ...['-in', at('SHA256SUMS.p7s'), '-content', at('SHA256SUMS'), '-out', '/dev/null'],
  ];
  await hostTools.run('openssl', check);
  const sums = await readFile(at('SHA256SUMS'), 'utf8');
  await writeFile(
    at('SHA256SUMS'),
    sums.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
  );
  await t.rejects(
    hostTools.run('openssl', check),
    /Verification failure|digest/,
    'another sum is not signed',
  );
});
