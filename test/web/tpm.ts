/** A surface that attests itself by a software TPM. */
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { createKey, exchange } from '../../daemon/attest/enrol/exchange.ts';
import { openProver } from '../../daemon/attest/evidence/tpm-prover.ts';
import { swtpm, Tpm } from '../../daemon/attest/tpm2/index.ts';
import type { Credentials } from '../../daemon/attest/types.ts';
import { systemClock } from '../../daemon/clock.ts';
import { silentLog } from '../../daemon/log.ts';
import { beginSoftwareTpm } from '../attest/tpm2/live/swtpm.ts';
import type { Site } from './rig.ts';

/** A surface with a software TPM; `attest` shows its evidence. */
export async function surface(t: Test, { gateway }: Site): Promise<() => Promise<Credentials>> {
  const chip = await beginSoftwareTpm();
  const tpm = new Tpm({ transport: swtpm(chip.address) });
  const none = path.join(tmpdir(), 'surfaced-there-is-no-such-log');
  const logs = { firmware: none, ima: none, measured: none, systemd: none };
  const prover = openProver({ tpm, logs, log: silentLog, random: Math.random });
  t.teardown(async () => {
    await prover.close();
    await chip.end();
  });
  return async () => {
    const issued = await exchange({
      address: { host: '127.0.0.1', port: gateway.enrolPort },
      pin: gateway.caPin,
      key: await createKey(),
      proof: { kind: 'tpm', prover, firmware: '1.2.3', current: null },
      clock: systemClock,
      signal: new AbortController().signal,
    });
    return issued.credentials;
  };
}
