import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { projectRoot } from '../../../image/package/bundle.ts';
import { controlText, debianVersion, md5sumsText } from '../../../image/package/control.ts';
import { copyrightText, readComponent, sortedComponents } from '../../../image/package/copyright.ts';
import { dependenciesOf } from '../../../image/package/elf.ts';
import { installedAs } from '../../../image/package/package.ts';

t.test('control', async (t) => {
  const text = controlText({
    version: '1.2.0-rc.1+build.5',
    architecture: 'arm64',
    libraries: ['libc6 (>= 2.34)'],
    installedKibibytes: 7,
  });
  t.match(text, /^Package: surfaced\nVersion: 1\.2\.0~rc\.1\nArchitecture: arm64\n/);
  t.match(text, /\nInstalled-Size: 7\nDepends: libc6 \(>= 2\.34\), systemd \(>= 252\), udev\n/);
  t.match(text, /\nMaintainer: [\w ]+ <\w+@(?:\w+\.)+\w+>\n/, 'an address in full, of nobody else');
  t.notMatch(text, /\n\n/, 'one paragraph');
  t.match(text, /\n$/);
  t.equal(debianVersion('0.1.0'), '0.1.0');
  t.equal(
    md5sumsText(
      new Map([
        ['b', '2'],
        ['a', '1'],
      ]),
    ),
    '1  a\n2  b\n',
  );
});

const needs = (...lines: string[]) => new Map([['bin/node', lines.join('\n')]]);
t.test('libraries that are needed', async (t) => {
  const needed = ' 0x01 (NEEDED)             Shared library: ';
  t.same(
    dependenciesOf(
      new Map([
        [
          'bin/node',
          [
            `${needed}[libstdc++.so.6]`,
            `${needed}[libgcc_s.so.1]`,
            `${needed}[ld-linux-aarch64.so.1]`,
            '  0x0010:   Name: GLIBC_2.28  Flags: none  Version: 2',
            '  0x0020:   Name: GLIBCXX_3.4.21  Flags: none  Version: 3',
          ].join('\n'),
        ],
        [
          'a.node',
          `${needed}[libc.so.6]\n Name: GLIBC_2.4  Flags\n Name: GLIBC_2.2.5\n Name: GLIBCXX_3.4.30`,
        ],
      ]),
    ),
    ['libc6 (>= 2.28)', 'libgcc-s1', 'libstdc++6 (>= 12)'],
  );
  t.throws(() => dependenciesOf(needs(`${needed}[libfoo.so.1]`)), {
    code: 'E_IMAGE_STEP',
    message: /^bin\/node needs libfoo\.so\.1/,
  });
  t.throws(() => dependenciesOf(needs('Name: GLIBCXX_3.4.99')), { code: 'E_IMAGE_STEP' });
});

t.test('licences: each text once, with those that it is for', async (t) => {
  const component = (name: string, text: string | null) => ({ name, version: '1.0.0', licence: 'MIT', text });
  const text = copyrightText('own licence', [
    component('b', 'the text'),
    component('a', 'the text'),
    component('c', null),
    component('a', 'the text'),
  ]);
  t.match(text, /own licence/);
  t.match(text, /\na 1\.0\.0 \(MIT\)\nb 1\.0\.0 \(MIT\)\n\nthe text\n/);
  t.match(text, /\nc 1\.0\.0 \(MIT\)\n\nbrings no text of its licence\.\n/);
  t.equal(text.split('the text').length, 2);
  t.same(
    sortedComponents([component('b', null), component('a', null)]).map(({ name }) => name),
    ['a', 'b'],
  );

  const folder = mkdtempSync(path.join(tmpdir(), 'licence-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const about = (fields: object) => writeFileSync(path.join(folder, 'package.json'), JSON.stringify(fields));
  about({ name: 'x', version: '1.0.0', license: { type: 'BSD' } });
  writeFileSync(path.join(folder, 'Licence.md'), ' some\r\ntext\n');
  mkdirSync(path.join(folder, 'lib'));
  t.same(await readComponent(folder), { name: 'x', version: '1.0.0', licence: 'BSD', text: 'some\ntext' });
  about({ name: 'x', version: '1.0.0' });
  await t.rejects(readComponent(folder), { code: 'E_IMAGE_STEP', message: /no name, version or licence/ });
});

t.test('every file of systemd/ has its place', async (t) => {
  t.equal(installedAs('README.md'), null);
  t.same(readdirSync(path.join(projectRoot, 'systemd')).map(installedAs).sort(), [
    'usr/lib/modules-load.d/surfaced.conf',
    'usr/lib/systemd/system-preset/50-surfaced.preset',
    'usr/lib/systemd/system/surfaced-device.service',
    'usr/lib/systemd/system/surfaced-gateway.service',
    'usr/lib/sysusers.d/surfaced.conf',
    'usr/lib/tmpfiles.d/surfaced.conf',
    'usr/lib/udev/rules.d/70-surfaced.rules',
  ]);
});

t.test('scripts of the package are good shell', async (t) => {
  const folder = path.join(projectRoot, 'image/package/debian');
  for (const name of readdirSync(folder)) {
    const file = path.join(folder, name);
    t.match(readFileSync(file, 'utf8'), /^#!\/bin\/sh\n# /, name);
    t.doesNotThrow(() => execFileSync('sh', ['-n', file]), name);
  }
});

t.test('purging takes the state, removing does not', async (t) => {
  const text = readFileSync(path.join(projectRoot, 'image/package/debian/postrm'), 'utf8');
  t.match(text, /if \[ "\$1" = purge \]; then\n(?: .*\n)*? {2}rm -rf \/etc\/surfaced \/var\/lib\/surfaced /);
  t.equal(text.match(/rm -r/g)?.length, 1);
});
