import t from 'tap';
import { loadAuthority, type ServerCertificate } from '../../../daemon/attest/authority/ca.ts';
import { makeServerCertificate } from '../../../daemon/attest/authority/server-certificate.ts';
import { silentLog } from '../../../daemon/log.ts';

const dayMs = 86_400_000;

t.test('a listener gets a new certificate when its own has less than 90 days left', async (t) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  let looks = 0;
  let onLook: () => void = () => {};
  const clock = {
    now: () => {
      looks += 1;
      onLook();
      return now;
    },
    monotonic: () => 0,
  };
  const authority = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock });
  const kept = await makeServerCertificate({
    authority,
    hosts: ['localhost'],
    clock,
    log: silentLog,
    lookEveryMs: 2,
  });
  const renewed: ServerCertificate[] = [];
  let onRenewed: () => void = () => {};
  const stop = kept.keep((certificate) => {
    renewed.push(certificate);
    onRenewed();
  });
  // The timer of a listener does not keep a process alive by itself.
  const alive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(alive));
  t.teardown(stop);

  now = kept.first.notAfter - 91 * dayMs;
  const before = looks;
  await new Promise<void>((resolve) => {
    onLook = () => looks >= before + 3 && resolve();
  });
  t.equal(renewed.length, 0, 'not before');

  onLook = () => {};
  const came = new Promise<void>((resolve) => {
    onRenewed = resolve;
  });
  now = kept.first.notAfter - 89 * dayMs;
  await came;
  t.ok((renewed[0]?.notAfter ?? 0) > kept.first.notAfter);
  t.not(renewed[0]?.certificatePem, kept.first.certificatePem);
});
