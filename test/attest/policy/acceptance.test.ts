import { createHash } from 'node:crypto';
import t from 'tap';
import { stringify } from 'yaml';
import { referenceOfVersion, takes } from '../../../daemon/attest/policy/acceptance.ts';

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
const set = (spec: object, version = 1) =>
  referenceOfVersion(
    stringify({
      apiVersion: 'surfaced.dev/v1alpha1',
      kind: 'ReferenceSet',
      metadata: { name: 'p', version },
      spec,
    }),
    'bundle: references',
  );
const root = '/run/surfaced/boot/root-hash';
const next = set({
  files: [
    { path: root, sha256: [sha('new')] },
    { path: '/etc/option', sha256: [sha('x')], isRequired: false },
  ],
});

t.test('a set takes a version when it knows all that the version measures', async (t) => {
  const rows: readonly (readonly [boolean, string, object])[] = [
    [true, 'both roots', { files: [{ path: root, sha256: [sha('old'), sha('new')] }] }],
    [false, 'only the old root', { files: [{ path: root, sha256: [sha('old')] }] }],
    [false, 'another file alone', { files: [{ path: '/other', sha256: [sha('new')] }] }],
    [
      true,
      'other files may be there',
      { files: [{ path: '/other', sha256: [sha('y')] }], mayHaveOtherFiles: true },
    ],
    [
      false,
      'files may be, the root is another',
      { files: [{ path: root, sha256: [sha('old')] }], mayHaveOtherFiles: true },
    ],
    [
      false,
      'an option that it knows with other content',
      {
        files: [
          { path: root, sha256: [sha('new')] },
          { path: '/etc/option', sha256: [sha('z')] },
        ],
      },
    ],
    [true, 'firmware alone', { pcrs: [{ pcr: 0, values: [sha('rom')] }] }],
    [false, 'the value of what was measured, fixed', { pcrs: [{ pcr: 14, values: [sha('old')] }] }],
    [
      false,
      'that and the root',
      { pcrs: [{ pcr: 14, values: [sha('old')] }], files: [{ path: root, sha256: [sha('new')] }] },
    ],
  ];
  for (const [expected, why, spec] of rows) t.equal(takes(set(spec, 2), next), expected, why);
  t.ok(takes(next, next), 'the very set');
  const fixed = (value: string) => set({ pcrs: [{ pcr: 14, values: [sha(value)] }] });
  t.ok(takes(fixed('a'), fixed('a')));
  t.notOk(takes(fixed('a'), fixed('b')));
});

t.test('a set of a bundle that cannot be used is refused', async (t) => {
  t.throws(() => referenceOfVersion('{', 'b.raucb: references'), {
    code: 'E_CFG_INVALID',
    message: /b\.raucb/,
  });
  t.throws(() => set({ ima: { list: 'x', listSha256: sha('') } }), {
    code: 'E_POLICY_SET',
    message: /spec\.ima/,
  });
});
