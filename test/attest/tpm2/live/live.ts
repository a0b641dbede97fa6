/** Tests that run against a software TPM of their own, and leave nothing loaded in it. */
import { type Test, test } from 'tap';
import { algorithm } from '../../../../daemon/attest/tpm2/algorithms.ts';
import { nvType } from '../../../../daemon/attest/tpm2/attributes.ts';
import { handle, handleType } from '../../../../daemon/attest/tpm2/handles.ts';
import { type LoadedObject, makePrimary, permanent } from '../../../../daemon/attest/tpm2/keys.ts';
import { defineNv, type NvIndex, nvIndexAt } from '../../../../daemon/attest/tpm2/memory.ts';
import { type PolicyStep, satisfy } from '../../../../daemon/attest/tpm2/policy.ts';
import { TpmError } from '../../../../daemon/attest/tpm2/response-codes.ts';
import type { Session } from '../../../../daemon/attest/tpm2/session.ts';
import { startSession } from '../../../../daemon/attest/tpm2/start-session.ts';
import { handlesOf } from '../../../../daemon/attest/tpm2/status.ts';
import type { NvPublic } from '../../../../daemon/attest/tpm2/structures/nv.ts';
import type { Public } from '../../../../daemon/attest/tpm2/structures/public.ts';
import { akEccP256, srkEccP256 } from '../../../../daemon/attest/tpm2/templates.ts';
import { type Executor, Tpm } from '../../../../daemon/attest/tpm2/tpm.ts';
import type { Transport } from '../../../../daemon/attest/tpm2/transport.ts';
import { swtpm } from '../../../../daemon/attest/tpm2/transports/swtpm.ts';
import { beginSoftwareTpm, type SoftwareTpm, withoutSwtpm } from './swtpm.ts';

/** Lets everything through and keeps it, as somebody with probes on the bus does. */
export class Recorder implements Transport {
  readonly name: string;
  readonly hasResourceManager: boolean;
  readonly sent: Buffer[] = [];
  readonly received: Buffer[] = [];
  readonly #inner: Transport;
  #onSent: (() => void) | null = null;

  constructor(inner: Transport) {
    this.name = inner.name;
    this.hasResourceManager = inner.hasResourceManager;
    this.#inner = inner;
  }

  async exchange(command: Uint8Array, mostMs: number): Promise<Uint8Array> {
    this.sent.push(Buffer.from(command));
    const answer = this.#inner.exchange(command, mostMs);
    this.#onSent?.();
    const response = await answer;
    this.received.push(Buffer.from(response));
    return response;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** Resolves when the next command is on its way. */
  async nextSent(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onSent = resolve;
    });
    this.#onSent = null;
  }

  /** Whether these bytes were to be seen on the wire. */
  saw(bytes: Uint8Array): boolean {
    const wanted = Buffer.from(bytes);
    return [...this.sent, ...this.received].some((message) => message.includes(wanted));
  }
}

/** What a test works with. */
export interface Bench {
  readonly chip: SoftwareTpm;
  readonly tpm: Tpm;
  readonly wire: Recorder;
}

/** Runs a test with a TPM of its own, which must be empty in the end. */
export function live(name: string, work: (t: Test, bench: Bench) => Promise<void>): void {
  test(name, { skip: withoutSwtpm }, async (t) => {
    const chip = await beginSoftwareTpm();
    const wire = new Recorder(swtpm(chip.address));
    const tpm = new Tpm({ transport: wire });
    try {
      await work(t, { chip, tpm, wire });
      t.same(await leftIn(tpm), [], 'nothing is left loaded');
      await tpm.close();
    } finally {
      await wire.close();
      await chip.end();
    }
  });
}

/** Handles of objects and sessions that are loaded. */
export const leftIn = async (tpm: Tpm): Promise<readonly number[]> => [
  ...(await handlesOf(tpm, handleType.transient)),
  ...(await handlesOf(tpm, handleType.hmacSession)),
];

/** Hierarchies of a TPM that was never taken into possession: without authorization values. */
export const owner = permanent(handle.owner);
export const endorsement = permanent(handle.endorsement);

/** The attestation key that needs nothing stored. */
export const makeAk = (executor: Executor, template: Public = akEccP256) =>
  makePrimary(executor, { hierarchy: endorsement, template });

/** The parent of sealed data. */
export const makeSrk = (executor: Executor): Promise<LoadedObject> =>
  makePrimary(executor, { hierarchy: owner, template: srkEccP256 });

/** A policy session in which these steps were taken. */
export async function policySession(executor: Executor, steps: readonly PolicyStep[]): Promise<Session> {
  const session = await startSession(executor, { kind: 'policy' });
  await satisfy(executor, session, steps);
  return session;
}

/** That the TPM refuses with one of these names, without `TPM_RC_`. */
export async function refused(t: Test, work: Promise<unknown>, names: string, what: string): Promise<void> {
  const problem = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(problem instanceof TpmError)) {
    t.fail(`${what}: expected ${names}`, { got: problem });
    return;
  }
  t.ok(problem.is(...names.split(' ')), `${what}: ${problem.message}`);
}

/** Indices that belong to the owner. */
export const ownerIndex = 0x01800100;

/** An ordinary index of the owner's that its own authorization value opens, unless something else is said. */
export const nvArea = (changes: Partial<NvPublic> = {}): NvPublic => ({
  index: ownerIndex,
  nameAlg: algorithm.sha256,
  attributes: {
    type: nvType.ordinary,
    set: new Set(['ownerWrite', 'ownerRead', 'authWrite', 'authRead', 'noDA']),
  },
  authPolicy: Buffer.alloc(0),
  dataSize: 32,
  ...changes,
});

/** Makes an index and says what it is now. */
export async function makeNv(executor: Executor, area: NvPublic, authValue: Uint8Array): Promise<NvIndex> {
  await defineNv(executor, owner, area, authValue);
  const made = await nvIndexAt(executor, area.index, authValue);
  if (made === null) throw new Error('it was made');
  return made;
}
