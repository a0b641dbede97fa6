/**
 * How the demo's surface proves itself: by a software TPM and the whole of attestation, as a Pi does with its chip, or by a
 * token. The demo is the operator, too: it writes the reference values, and approves the code that the panel shows.
 */

import { createPrivateKey } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { createTokenCredentials } from '../daemon/attest/enrol/client.ts';
import { createTpmCredentials } from '../daemon/attest/enrol/tpm-client.ts';
import { openProver } from '../daemon/attest/evidence/tpm-prover.ts';
import { measure, readContents } from '../daemon/attest/measure/measure.ts';
import { ownBundle } from '../daemon/attest/measure/self.ts';
import { openTpm } from '../daemon/attest/open-tpm.ts';
import { makeSigningKey, signSet } from '../daemon/attest/policy/signature.ts';
import type { CredentialSource } from '../daemon/attest/types.ts';
import { levelSentences } from '../daemon/attest/verifier/verdict.ts';
import { systemClock } from '../daemon/clock.ts';
import { approveIn, keyWithCode } from '../daemon/commands/approve.ts';
import { apiVersion } from '../daemon/config/schema.ts';
import { SurfacedError } from '../daemon/errors.ts';
import type { Gateway } from '../daemon/gateway.ts';
import type { Log } from '../daemon/log.ts';
import type { DemoFacts } from './sim/panel/messages.ts';
import { isInstalled, SoftwareTpm } from './software-tpm.ts';

/** What `--identity` takes. */
export const identityKinds = ['tpm', 'token'] as const;
export type IdentityKind = (typeof identityKinds)[number];

/** What the demo needs of an identity. */
export interface DemoIdentity {
  /** `policy` of the Gateway file. */
  readonly policy: Readonly<Record<string, unknown>>;
  /** Once the gateway runs. */
  credentials(gateway: Gateway): Promise<CredentialSource>;
  /** What is known of the surface now. */
  trust(gateway: Gateway | null): DemoFacts['trust'];
  close(): Promise<void>;
}

interface IdentityParts {
  /** Of the demo; files are made in it. */
  readonly folder: string;
  /** Name of the surface. */
  readonly surface: string;
  readonly firmware: string;
  readonly log: Log;
}

/** The token is spent within the second; it need not live longer than a slow start. */
const tokenTtlMs = 5 * 60_000;
/** PCR that `surfaced measure` extends when nothing else is said. */
const measuredPcr = 14;
const policyName = 'demo';

/** Makes the identity; with `tpm`, turns a software TPM on and measures this program. @throws SurfacedError E_SWTPM */
export const openIdentity = (
  kind: IdentityKind,
  parts: IdentityParts,
  signal: AbortSignal,
): Promise<DemoIdentity> =>
  kind === 'tpm' ? openTpmIdentity(parts, signal) : Promise.resolve(tokenIdentity(parts));

const gatewayOf = ({ enrolPort, caPin }: Gateway) => ({ url: `https://localhost:${enrolPort}`, caPin });

function tokenIdentity({ surface, log }: IdentityParts): DemoIdentity {
  return {
    policy: { identity: 'token' },
    credentials: async (gateway) => {
      const { token } = await gateway.tokens.create({ surface, ttlMs: tokenTtlMs, uses: 1 });
      const config = gatewayOf(gateway);
      return createTokenCredentials({ config, token, clock: systemClock, random: Math.random, log });
    },
    trust: () => ({
      isAttested: false,
      level: null,
      sentence: 'This surface holds a one-time token only; it has not been attested by a TPM.',
      pairingCode: null,
      ekSha256: null,
    }),
    close: async () => {},
  };
}

async function openTpmIdentity(parts: IdentityParts, signal: AbortSignal): Promise<DemoIdentity> {
  const { folder, surface, firmware, log } = parts;
  if (!isInstalled('swtpm')) throw new SurfacedError('E_SWTPM', 'swtpm is not installed');
  const chip = await SoftwareTpm.begin({ state: null });
  const tpm = openTpm({ swtpm: chip.path });
  const measured = path.join(folder, 'measure.log');
  const none = path.join(folder, 'no-such-log');
  const logs = { firmware: none, ima: none, measured, systemd: none };
  const prover = openProver({ tpm, logs, log, random: Math.random });
  const close = async (): Promise<void> => {
    await prover.close().catch((error: unknown) => log.warn({ err: error }, 'the TPM did not close'));
    await chip.end();
  };
  try {
    const names = await ownBundle();
    await measure({ names, pcr: measuredPcr, log: measured, saved: null, tpm }, signal);
    const policy = await writePolicy(path.join(folder, 'policy'), names, signal);
    let pairingCode: string | null = null;
    return {
      policy,
      credentials: async (gateway) => {
        const credentials = createTpmCredentials({
          config: gatewayOf(gateway),
          prover,
          firmware,
          clock: systemClock,
          random: Math.random,
          log,
        });
        credentials.onPairing((code) => {
          if (code === null) return;
          pairingCode = code;
          approve(gateway, surface, code).catch((error: unknown) =>
            log.error({ err: error }, 'the surface could not be approved'),
          );
        });
        return credentials;
      },
      trust: (gateway) => {
        const known = gateway?.trust.of(surface) ?? null;
        const level = known?.level ?? null;
        return {
          isAttested: known?.state === 'trusted',
          level,
          sentence:
            level === null
              ? `Not attested: ${known?.reason ?? 'its TPM waits for approval'}.`
              : `${levelSentences[level]} The TPM is swtpm, a program on this machine.`,
          pairingCode,
          ekSha256: known?.ekSha256 ?? null,
        };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What an operator does with `surfaced surfaces approve`: the code names the TPM whose panel shows it. */
async function approve(gateway: Gateway, name: string, code: string): Promise<void> {
  const ekSha256 = keyWithCode(gateway.trust.quarantine(), code);
  const level = 1;
  await approveIn(gateway.registryFolder, { name, ekSha256, level, policy: policyName, isReplacing: false });
}

/** A reference set of what this program is made of now, signed by a key that is forgotten; what `policy` of the gateway says. */
async function writePolicy(
  folder: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<DemoIdentity['policy']> {
  const contents = await readContents(names, signal);
  const { privatePem, publicPem } = makeSigningKey();
  const set = stringify({
    apiVersion,
    kind: 'ReferenceSet',
    metadata: { name: policyName, version: 1, description: 'The demo as it is on this machine now.' },
    spec: {
      files: contents.map((content) => ({ path: content.path, sha256: [content.sha256.toString('hex')] })),
    },
  });
  const references = path.join(folder, 'references');
  await mkdir(references, { recursive: true });
  const file = path.join(references, `${policyName}-1.yaml`);
  await writeFile(file, set);
  await writeFile(`${file}.sig`, signSet(Buffer.from(set), createPrivateKey(privatePem)));
  const signer = path.join(folder, 'signer.pub');
  await writeFile(signer, publicPem);
  return { identity: 'tpm', references, signers: [signer] };
}
