import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import t from 'tap';
import { readRequestSubject } from '../../../daemon/attest/certificates/request.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { nodePem, requestPem } from '../../bridge/admission/reviews.ts';

const head = '-----BEGIN CERTIFICATE REQUEST-----\n';
const end = '-----END CERTIFICATE REQUEST-----\n';
const derOf = (pem: string): Buffer => Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64');
const pemOf = (der: Uint8Array): string =>
  `${head}${(
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  )
    .map((line) => `${line}\n`)
    .join('')}${end}`;
const code = { code: 'E_ATTEST_CERTIFICATE' };

t.test('subjects as kubelets and people ask for them', async (t) => {
  t.same(readRequestSubject(await nodePem('pi-7')), {
    commonName: 'system:node:pi-7',
    organizations: ['system:nodes'],
  });
  t.same(readRequestSubject(await requestPem([{ CN: ['a'] }, { O: ['b'] }, { O: ['c'] }, { C: ['DE'] }])), {
    commonName: 'a',
    organizations: ['b', 'c'],
  });
  t.same(readRequestSubject(await requestPem([])), { commonName: '', organizations: [] });
});

function withoutOpenssl(): string | false {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs openssl';
  }
}

t.test('a request of another program', { skip: withoutOpenssl() }, async (t) => {
  const parameters = [
    ...['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', '/dev/null'],
    ...['-subj', '/O=system:nodes/CN=system:node:pi-7', '-addext', 'subjectAltName=IP:10.0.0.7'],
  ];
  const made = execFileSync('openssl', parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  t.equal(readRequestSubject(made).commonName, 'system:node:pi-7');
});

t.test('what two readers could read differently is refused', async (t) => {
  const pem = await nodePem('pi-7');
  const der = derOf(pem);
  t.equal(readRequestSubject(pemOf(der)).commonName, 'system:node:pi-7');
  t.equal(readRequestSubject(pem.replaceAll('\n', '\r\n')).commonName, 'system:node:pi-7');
  const other = await nodePem('pi-8');
  const bad: Record<string, string> = {
    'text before': `hello\n${pem}`,
    'two blocks': `${pem}${other}`,
    'a header': pem.replace(head, `${head}a: b\n\n`),
    'another type': pem.replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'),
    'bytes behind': pemOf(Buffer.concat([der, Buffer.from([5, 0])])),
    'cut short': pemOf(der.subarray(0, -1)),
    nothing: `${head}${end}`,
    'padding inside': pem.replace(/\n(.{4})/, '\n$1=\n'),
    'two names': await requestPem([{ CN: ['a'] }, { CN: ['b'] }]),
    'two names in one part': await requestPem([{ CN: ['a', 'b'] }]),
    'not plain': await requestPem([{ CN: ['ä'] }]),
    'not plain organization': await requestPem([{ CN: ['a'] }, { O: ['b\u0000'] }]),
    'what looks like hex': await requestPem([{ CN: [{ utf8String: '#0c0161' }] }]),
  };
  for (const [what, text] of Object.entries(bad)) t.throws(() => readRequestSubject(text), code, what);
});

t.test('bytes that were changed never get another node through, nor another error', async () => {
  const der = derOf(await nodePem('pi-7'));
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const changed = Buffer.from(der);
      changed[at] = changed[at]! ^ by;
      const read = subjectOf(pemOf(changed));
      // A changed letter of the name itself is another name, and in the bytes for everybody.
      return read === null || read.commonName === 'system:node:pi-7' || changed.includes(read.commonName);
    }),
    { numRuns: 400 },
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.uint8Array({ maxLength: 300 }).map(pemOf)), (text) => {
      subjectOf(text);
    }),
    { numRuns: 300 },
  );
});

function subjectOf(pem: string): ReturnType<typeof readRequestSubject> | null {
  try {
    return readRequestSubject(pem);
  } catch (error) {
    if (error instanceof SurfacedError && error.code === 'E_ATTEST_CERTIFICATE') return null;
    throw error;
  }
}
