/** Proofs of a TPM to a gateway: what is in them, what can be seen of them, and what happens when somebody interferes. */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readEkSha256 } from '../../../daemon/attest/evidence/tpm-prover.ts';
import {
  algorithm,
  extendPcr,
  makeCredential,
  nameOfPublic,
  Tpm,
  TpmTransportError,
} from '../../../daemon/attest/tpm2/index.ts';
import { leftIn } from '../tpm2/live/live.ts';
import {
  akOf,
  answerOf,
  checkProof,
  code,
  ekOf,
  live,
  proveOnce,
  roundFor,
  signal,
  writeLog,
} from './live-bench.ts';

const allPcrs = Array.from({ length: 16 }, (_, pcr) => pcr);

live('a proof holds, with the certificate of the maker', 'known', async (t, bench) => {
  const { prover, tpm, bus, log } = bench;
  t.equal(prover.ekSha256, null, 'nothing is known before the first question');
  for (const [index, pcr] of [0, 7, 8, 14].entries())
    await extendPcr(tpm, pcr, [{ hash: algorithm.sha256, digest: Buffer.alloc(32, index + 1) }]);
  await writeLog(bench, 'firmware', 'event log');
  await writeLog(bench, 'measured', '\x1e{}\n');
  const proof = await proveOnce(prover, { pcrs: allPcrs });
  checkProof(t, proof);
  const { ima, systemd, firmware, measured } = proof.evidence.logs;
  t.same([ima, systemd], [null, null], 'logs that this machine does not have');
  t.equal(Buffer.from(firmware?.bytes ?? []).toString(), 'event log');
  t.equal(Buffer.from(measured?.bytes ?? []).toString(), '\x1e{}\n');

  const certificate = await readFile(new URL('../tpm2/live/state/ek_rsa_cert.der', import.meta.url));
  t.strictSame(proof.claims.ekCertificate, certificate);
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  const ekSha256 = createHash('sha256').update(spki).digest('hex');
  t.equal(prover.ekSha256, ekSha256, 'the identity is that of the certificate');
  t.same(await leftIn(tpm), [], 'nothing stays loaded between calls');
  t.equal(await readEkSha256(new Tpm({ transport: bus }), log, signal), ekSha256, 'asked for alone');

  const made = bus.count(code.nvRead);
  checkProof(t, await proveOnce(prover, { hasCredential: false }));
  checkProof(t, await proveOnce(prover, { pcrs: [3] }));
  t.equal(bus.count(code.nvRead), made, 'certificates are read once');
});

live('only what the gateway has not seen is sent', 'new', async (t, bench) => {
  await writeLog(bench, 'ima', Buffer.alloc(1000, 7));
  await writeLog(bench, 'measured', '\x1e{"recnum":0}\n\x1e{"recnum":1}\n');
  const start = { bytes: 0, records: 0 };
  const logs = {
    firmware: start,
    ima: { bytes: 990, records: 2 },
    measured: { bytes: 14, records: 1 },
    systemd: start,
  };
  const proof = await proveOnce(bench.prover, { logs });
  checkProof(t, proof);
  t.strictSame(proof.evidence.logs.ima, { from: logs.ima, bytes: Buffer.alloc(10, 7) });
  t.strictSame(proof.evidence.logs.measured, {
    from: logs.measured,
    bytes: Buffer.from('\x1e{"recnum":1}\n'),
  });
  const beyond = { ...logs, ima: { bytes: 1001, records: 2 } };
  const shorter = await proveOnce(bench.prover, { logs: beyond });
  checkProof(t, shorter);
  t.strictSame(shorter.evidence.logs.ima, { from: beyond.ima, bytes: Buffer.alloc(0) }, 'it was another log');
});

live('nobody on the bus reads the secret, or changes what matters', 'known', async (t, { prover, bus }) => {
  const { secret } = await proveOnce(prover);
  t.ok(secret !== null && !bus.seen.some((message) => message.includes(secret)), 'never in clear');

  const claims = await prover.claims(signal);
  // Into the attestation, its signature, the activated secret, and the HMACs behind them.
  for (const [name, asked, place] of [
    ['attestation', code.quote, 60],
    ['signature', code.quote, 180],
    ['HMAC', code.quote, -1],
    ['secret', code.activateCredential, 20],
  ] as const) {
    bus.after = (given, answer) => {
      if (given !== asked) return answer;
      const at = place < 0 ? answer.length + place : place;
      answer[at] = (answer[at] ?? 0) ^ 1;
      return answer;
    };
    const { challenge, bound } = roundFor(claims);
    await t.rejects(
      prover.prove(challenge, bound, signal),
      { code: 'E_TPM', cause: { name: 'TpmSessionError', message: /HMAC/ } },
      name,
    );
  }
  bus.after = null;
  checkProof(t, await proveOnce(prover));
});

live('a credential for somebody else', 'new', async (t, { prover }) => {
  const claims = await prover.claims(signal);
  const { challenge, bound } = roundFor(claims);
  const ak = nameOfPublic(akOf(claims));
  const otherName = Buffer.from(ak);
  otherName[5] = (otherName[5] ?? 0) ^ 1;
  const { credentialBlob, secret } = makeCredential(ekOf(claims), otherName, randomBytes(32));
  const refused = { code: 'E_TPM', message: /TPM2_ActivateCredential/ };
  for (const credential of [
    { blob: credentialBlob, secret },
    { blob: Buffer.alloc(0), secret: Buffer.alloc(0) },
    { blob: randomBytes(256), secret: randomBytes(1024) },
  ])
    await t.rejects(prover.prove({ ...challenge, credential }, bound, signal), refused);
  checkProof(t, await proveOnce(prover));
});

live('a bank that the TPM does not have', 'known', async (t, { prover, bus }) => {
  const { challenge, bound } = roundFor(await prover.claims(signal), { bank: 'sha384', pcrs: [0, 9] });
  await t.rejects(prover.prove(challenge, bound, signal), {
    code: 'E_TPM',
    message: /no PCR 0, 9 in its sha384 bank/,
  });
  t.equal(bus.count(code.quote), 0, 'nothing is quoted');
});

live('logs that cannot be read', 'new', async (t, bench) => {
  const { challenge, bound } = roundFor(await bench.prover.claims(signal));
  await writeLog(bench, 'ima', Buffer.alloc(9 * 1024 * 1024));
  await t.rejects(bench.prover.prove(challenge, bound, signal), {
    code: 'E_ATTEST_LOG',
    message: /^ima log .* at least \d+ bytes/,
  });
  t.same(await leftIn(bench.tpm), []);
});

live(
  'whatever command fails, the error says so and nothing stays',
  'known',
  async (t, { prover, bus, tpm }) => {
    const failures = {
      E_TPM_OPEN: () => Promise.reject(new TpmTransportError('nobody answers')),
      E_TPM: () => Promise.resolve(answerOf(0x101)),
      E_TPM_LOCKOUT: () => Promise.resolve(answerOf(0x921)),
    };
    const claims = await prover.claims(signal);
    for (const [expected, fail] of Object.entries(failures)) {
      let failed = 0;
      for (let broken = 0; ; broken++) {
        let count = 0;
        let isBroken = false;
        bus.before = async () => {
          if (count++ !== broken) return null;
          isBroken = true;
          return fail();
        };
        const { challenge, bound } = roundFor(claims);
        const problem = await prover.prove(challenge, bound, signal).then(
          () => null,
          (reason: unknown) => reason,
        );
        bus.before = null;
        if (!isBroken) break;
        // At the end of the scope only the flushing fails, which is tried again at the next.
        if (problem !== null) {
          t.match(problem, { code: expected }, `command ${broken}`);
          failed++;
        }
      }
      t.ok(failed >= 8, `${failed} commands of a proof`);
      checkProof(t, await proveOnce(prover));
      t.same(await leftIn(tpm), [], 'flushed at the latest with the next proof');
    }
  },
);

live('given up at any moment', 'known', async (t, { prover, bus, tpm }) => {
  const claims = await prover.claims(signal);
  for (let last = 0; ; last++) {
    const controller = new AbortController();
    const reason = new Error('the surface stops');
    let count = 0;
    bus.before = async () => {
      if (count++ === last) controller.abort(reason);
      return null;
    };
    const { challenge, bound } = roundFor(claims);
    const problem = await prover.prove(challenge, bound, controller.signal).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    bus.before = null;
    if (problem === null) break;
    t.equal(problem, reason, `at command ${last}`);
  }
  checkProof(t, await proveOnce(prover));
  t.same(await leftIn(tpm), []);
  await t.rejects(prover.claims(AbortSignal.abort(new Error('never began'))), { message: 'never began' });
});
