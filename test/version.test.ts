import fc from 'fast-check';
import t from 'tap';
import { compareVersions, version, versionPattern } from '../daemon/version.ts';

/** From semver.org, item 11, the oldest first. */
const ascending = [
  '0.9.9',
  '1.0.0-alpha',
  '1.0.0-alpha.1',
  '1.0.0-alpha.beta',
  '1.0.0-beta',
  '1.0.0-beta.2',
  '1.0.0-beta.11',
  '1.0.0-rc.1',
  '1.0.0',
  '1.0.1',
  '1.2.0',
  '1.10.0',
  '2.0.0',
];

t.test('versions are in the order of semver', async (t) => {
  for (const [one, first] of ascending.entries())
    for (const [other, second] of ascending.entries())
      t.equal(Math.sign(compareVersions(first, second)), Math.sign(one - other), `${first} and ${second}`);
  t.match(version, versionPattern, 'that of this program is one');
});

t.test('what is no version is refused, whatever it is', async (t) => {
  for (const text of [
    '',
    '1',
    '1.2',
    '01.2.3',
    '1.2.3+4',
    'v1.2.3',
    '1.2.3-',
    '../1.2.3',
    '1.2.3\n',
    '1.2.3-a/b',
  ])
    t.throws(() => compareVersions(text, '1.0.0'), RangeError, text);
  fc.assert(
    fc.property(fc.string({ maxLength: 30 }), (text) => !versionPattern.test(text) || /^[\w.-]+$/.test(text)),
  );
});
