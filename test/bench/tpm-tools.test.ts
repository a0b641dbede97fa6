/** The peer of the prover: what its script leaves has to be evidence that the verifier takes. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { accepted, ask, caseOf, noLogs, rulesOf } from '../../bench/proofs.ts';
import { type EkKind, makeChip } from '../../bench/tpm-maker.ts';
import { ToolScript, toolsNeed } from '../../bench/tpm-tools.ts';
import { openProver } from '../../daemon/attest/evidence/tpm-prover.ts';
import { swtpm, Tpm } from '../../daemon/attest/tpm2/index.ts';
import { silentLog } from '../../daemon/log.ts';
import { isInstalled, withoutSwtpm } from '../../hil/software-tpm.ts';

const skip =
  withoutSwtpm ||
  (isInstalled(toolsNeed) ? false : 'tpm2-tools are not installed (Debian: apt-get install tpm2-tools)');

const defer = (t: Test) => ({ defer: (end: () => unknown) => t.teardown(async () => void (await end())) });

for (const kind of ['ecc', 'rsa'] satisfies EkKind[])
  t.test(`keys, credential, quote and renewal by tpm2-tools, ${kind}`, { skip }, async (t) => {
    const folder = path.join(t.testdir(), 'script');
    const chip = await makeChip(defer(t), kind);
    const { path: socketPath, address } = chip.software;
    const script = await ToolScript.in(folder, { kind, socketPath });
    await script.makeKeys();
    const claims = await script.claims();

    const none = path.join(folder, 'no-such-log');
    const prover = openProver({
      tpm: new Tpm({ transport: swtpm(address) }),
      logs: { firmware: none, ima: none, measured: none, systemd: none },
      log: silentLog,
      random: () => 0,
    });
    const ours = await prover.claims(new AbortController().signal);
    await prover.close();
    t.same(Buffer.from(claims.ekPublic), ours.ekPublic, 'both make the same endorsement key');
    t.same(Buffer.from(claims.akPublic), ours.akPublic, 'and the same attestation key');
    t.same(claims.ekCertificate, ours.ekCertificate, 'and read the same certificate');

    const rules = rulesOf(claims, { root: chip.root, references: null, level: 0 });
    const first = ask(claims, true);
    await script.receive(first);
    await script.prove(first);
    const verdict = accepted(caseOf(first, await script.evidence(first)), rules);
    t.ok(verdict.hasTrustedCertificate);
    t.same(await readFile(path.join(folder, 'secret')), first.secret);
    const second = ask(claims, false);
    await script.receive(second);
    await script.prove(second);
    const evidence = await script.evidence(second);
    const renewed = accepted(caseOf(second, evidence, { logs: noLogs, clock: verdict.clock! }), rules);
    t.equal(renewed.epoch, 'same');
    t.throws(
      () => accepted(caseOf(first, evidence), rules),
      /refused: activation/,
      'bad evidence ends a bench',
    );
    await t.rejects(script.run('tpm2_readpublic -c 0x81000000'), /a script ended with/, 'and so does a tool');
  });
