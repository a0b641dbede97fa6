import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { loadAuthority } from '../../../daemon/attest/authority/ca.ts';
import { makeProbeCertificate } from '../../../daemon/attest/authority/probe-certificate.ts';
import { ShownCertificates } from '../../../daemon/attest/authority/shown-certificates.ts';
import { systemClock } from '../../../daemon/clock.ts';

/** The time that certificates are made by; a certificate has whole seconds. */
class Clock {
  at = Math.floor(Date.now() / 1000) * 1000;
  now = (): number => this.at;
  monotonic = (): number => this.at;
}

const der = async (made: Promise<{ certificatePem: string }>): Promise<Uint8Array> =>
  new X509Certificate((await made).certificatePem).raw;

t.test('a certificate counts for whom it was issued, until it ends or trust is withdrawn', async (t) => {
  const clock = new Clock();
  const authority = await loadAuthority({ stateDir: t.testdir({}), site: 'site', clock });
  const shown = new ShownCertificates(authority, clock);
  const first = await der(makeProbeCertificate(authority, 'desk'));
  t.equal(shown.of('desk'), null);
  t.equal(shown.show('shelf', first), false, 'it is not that of another surface');
  t.equal(shown.show('desk', first), true);
  t.match(shown.of('desk'), { surface: 'desk', trust: 'token', issuedAt: clock.at });

  clock.at += 30_000;
  const second = await der(makeProbeCertificate(authority, 'desk'));
  t.equal(shown.show('desk', second), true);
  t.equal(shown.show('desk', first), true, 'the old one still holds');
  t.equal(shown.of('desk')?.issuedAt, clock.at, 'but the newer one counts');

  shown.withdraw('desk');
  t.equal(shown.of('desk'), null);
  for (const old of [first, second])
    t.equal(shown.show('desk', old), false, 'what was issued before is nothing');
  clock.at += 1000;
  t.equal(
    shown.show('desk', await der(makeProbeCertificate(authority, 'desk'))),
    true,
    'what comes after is',
  );
  clock.at += 60_000;
  t.equal(shown.show('desk', second), false, 'it has ended');
});

t.test('another CA, and bytes of every kind', async (t) => {
  const stateDir = (name: string) => t.testdir({ [name]: {} });
  const authority = await loadAuthority({ stateDir: stateDir('a'), site: 'site', clock: systemClock });
  const shown = new ShownCertificates(authority, systemClock);
  const whole = await der(makeProbeCertificate(authority, 'desk'));
  const other = await loadAuthority({ stateDir: `${stateDir('b')}/b`, site: 'site', clock: systemClock });
  t.equal(shown.show('desk', await der(makeProbeCertificate(other, 'desk'))), false);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => !shown.show('desk', bytes)));
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Uint8Array.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ change;
      return !shown.show('desk', bytes);
    }),
  );
  t.equal(shown.of('desk'), null);
  t.equal(shown.show('desk', whole), true);
});
