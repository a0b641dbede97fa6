/** Provers on software TPMs of their own, with the gateway's part of the exchange done by the test. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { type Test, test } from 'tap';
import { logDigests, qualifyingData } from '../../../daemon/attest/evidence/binding.ts';
import {
  type Challenge,
  type Evidence,
  evidenceJson,
  evidenceSchema,
  type KeyClaims,
  keyClaimsJson,
  keyClaimsSchema,
  type QuotableBank,
} from '../../../daemon/attest/evidence/evidence.ts';
import type { LogPaths } from '../../../daemon/attest/evidence/log-sources.ts';
import type { Prover } from '../../../daemon/attest/evidence/prover.ts';
import { openProver } from '../../../daemon/attest/evidence/tpm-prover.ts';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import {
  type Attest,
  algorithm,
  attest,
  attestType,
  decode,
  isSignedBy,
  makeCredential,
  nameOfPublic,
  type Public,
  pcrDigest,
  publicArea,
  qualifiedName,
  signature,
  swtpm,
  Tpm,
  type Transport,
} from '../../../daemon/attest/tpm2/index.ts';
import type { Log } from '../../../daemon/log.ts';
import { leftIn } from '../tpm2/live/live.ts';
import { beginSoftwareTpm, SoftwareTpm, withoutSwtpm } from '../tpm2/live/swtpm.ts';

/** Command codes, as they stand in the bytes of a command. */
export const code = {
  createPrimary: 0x131,
  nvRead: 0x14e,
  activateCredential: 0x147,
  startup: 0x144,
  quote: 0x158,
  pcrRead: 0x17e,
} as const;

/** What sits between prover and TPM: it sees every command, and may do something before, answer itself, or bend answers. */
export class Interposer implements Transport {
  readonly name = 'interposer';
  readonly hasResourceManager = false;
  /** Codes of all commands. */
  readonly codes: number[] = [];
  /** All bytes in both directions. */
  readonly seen: Buffer[] = [];
  /** Before a command is sent; bytes that it gives are the answer, and the TPM gets nothing. */
  before: ((code: number, command: Buffer) => Promise<Uint8Array | null>) | null = null;
  /** What becomes of an answer. */
  after: ((code: number, answer: Buffer) => Uint8Array) | null = null;
  inner: Transport;

  constructor(inner: Transport) {
    this.inner = inner;
  }

  async exchange(command: Uint8Array, mostMs: number): Promise<Uint8Array> {
    const bytes = Buffer.from(command);
    const asked = bytes.readUInt32BE(6);
    this.codes.push(asked);
    this.seen.push(bytes);
    const own = (await this.before?.(asked, bytes)) ?? null;
    const answer = Buffer.from(own ?? (await this.inner.exchange(command, mostMs)));
    this.seen.push(answer);
    return this.after?.(asked, answer) ?? answer;
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  /** How often a command was sent. */
  count(asked: number): number {
    return this.codes.filter((one) => one === asked).length;
  }
}

/** An answer that is only a response code. */
export const answerOf = (responseCode: number): Buffer => {
  const bytes = Buffer.from('80010000000a00000000', 'hex');
  bytes.writeUInt32BE(responseCode, 6);
  return bytes;
};

export interface Bench {
  readonly chip: SoftwareTpm;
  /** The prover's way to the TPM. */
  readonly bus: Interposer;
  /** Another way to the same TPM, past the interposer, for use between commands of the prover. */
  readonly tpm: Tpm;
  readonly prover: Prover;
  readonly log: Log;
  readonly paths: LogPaths;
  /** Lines of the log, warnings and above. */
  readonly warnings: Readonly<Record<string, unknown>>[];
}

export const { signal } = new AbortController();

/**
 * Runs a test on a TPM of its own, which must be empty in the end.
 * @param state `known`: that of the fixture, with an RSA certificate in the low range and a P-384 one in the high range;
 *   `new`: without any certificate
 */
export function live(
  name: string,
  state: 'known' | 'new',
  work: (t: Test, bench: Bench) => Promise<void>,
): void {
  test(name, { skip: withoutSwtpm }, async (t) => {
    const chip = await (state === 'known' ? beginSoftwareTpm() : SoftwareTpm.begin({ state: null }));
    const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-prover-'));
    const wire = swtpm(chip.address);
    const bus = new Interposer(wire);
    const tpm = new Tpm({ transport: wire });
    const warnings: Record<string, unknown>[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(JSON.parse(line)) });
    const file = (log: string) => path.join(folder, log);
    const paths = {
      firmware: file('firmware'),
      ima: file('ima'),
      measured: file('measured'),
      systemd: file('systemd'),
    };
    const prover = openProver({ tpm: new Tpm({ transport: bus }), logs: paths, log, random: () => 0 });
    try {
      await work(t, { chip, bus, tpm, prover, log, paths, warnings });
      bus.before = null;
      bus.after = null;
      await prover.close();
      t.same(await leftIn(tpm), [], 'nothing is left loaded');
      await tpm.close();
    } finally {
      await wire.close();
      await chip.end();
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** A log with these contents. */
export const writeLog = (bench: Bench, name: keyof LogPaths, contents: Uint8Array | string): Promise<void> =>
  writeFile(bench.paths[name], contents);

/** A challenge as the gateway makes one, and what belongs to it. */
export interface Round {
  readonly claims: KeyClaims;
  readonly challenge: Challenge;
  readonly bound: { readonly keySha256: Buffer; readonly channel: Buffer };
  /** Null: the credential was left out. */
  readonly secret: Buffer | null;
}

export const ekOf = ({ ekPublic }: KeyClaims): Public => decode('EK', publicArea, ekPublic);
export const akOf = ({ akPublic }: KeyClaims): Public => decode('AK', publicArea, akPublic);

/** All logs from their start. */
export const wholeLogs = { firmware: logStart, ima: logStart, measured: logStart, systemd: logStart };

export function roundFor(
  claims: KeyClaims,
  options: {
    readonly hasCredential?: boolean;
    readonly bank?: QuotableBank;
    readonly pcrs?: readonly number[];
    readonly logs?: Challenge['logs'];
  } = {},
): Round {
  const { hasCredential = true, bank = 'sha256', pcrs = [0, 7, 8, 9, 10], logs = wholeLogs } = options;
  const secret = hasCredential ? randomBytes(32) : null;
  const made = secret && makeCredential(ekOf(claims), nameOfPublic(akOf(claims)), secret);
  const credential = made && { blob: made.credentialBlob, secret: made.secret };
  const challenge = { nonce: randomBytes(32), credential, bank, pcrs, logs };
  return { claims, challenge, secret, bound: { keySha256: randomBytes(32), channel: randomBytes(32) } };
}

/** Claims and a proof, both as they come out of the wire's JSON. */
export async function proveOnce(
  prover: Prover,
  options: Parameters<typeof roundFor>[1] = {},
): Promise<Round & { readonly evidence: Evidence }> {
  const claims = keyClaimsSchema.parse(keyClaimsJson(await prover.claims(signal)));
  const round = roundFor(claims, options);
  const proved = await prover.prove(round.challenge, round.bound, signal);
  return { ...round, evidence: evidenceSchema.parse(evidenceJson(proved)) };
}

/** What a verifier looks at first, all of which must hold; gives the attestation for more. */
export function checkProof(t: Test, proof: Round & { readonly evidence: Evidence }): Attest {
  const { claims, challenge, bound, secret, evidence } = proof;
  const ak = akOf(claims);
  t.strictSame(evidence.secret, secret, 'the secret of the credential');
  t.ok(isSignedBy(ak, evidence.attest, decode('signature', signature, evidence.signature)), 'signed');
  const quote = decode('quote', attest, evidence.attest);
  const { nonce, pcrs, bank } = challenge;
  const logs = logDigests(evidence.logs);
  t.strictSame(quote.extraData, qualifyingData({ nonce, ...bound, secret, logs }), 'bound to all of it');
  t.strictSame(quote.qualifiedSigner, qualifiedName(Buffer.from('4000000b', 'hex'), nameOfPublic(ak)));
  if (quote.attested.type !== attestType.quote) throw new Error('no quote');
  const selection = [{ hash: algorithm[bank], pcrs }];
  t.strictSame(quote.attested.pcrSelect, selection);
  t.strictSame([...evidence.pcrs.keys()], pcrs);
  const values = [{ hash: algorithm[bank], values: evidence.pcrs }];
  t.strictSame(quote.attested.pcrDigest, pcrDigest(algorithm.sha256, selection, values), 'of these PCRs');
  return quote;
}
