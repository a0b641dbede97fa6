/** What the tests of the audit log share: events, quotes that keys in software have signed, signers and disks. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type AuditLog, openAuditOn } from '../../../daemon/attest/audit/audit-log.ts';
import { readEnvelope, readEvent } from '../../../daemon/attest/audit/record.ts';
import { type Disk, realDisk, type SegmentFile } from '../../../daemon/attest/audit/segments.ts';
import { keySigner, type Signer } from '../../../daemon/attest/audit/signers.ts';
import type { AuditEvent, AuditedQuote } from '../../../daemon/attest/audit/types.ts';
import { verifyAudit } from '../../../daemon/attest/audit/verify.ts';
import { ekPublicSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import { qualifyingData } from '../../../daemon/attest/evidence/binding.ts';
import {
  akEccP256,
  algorithm,
  attest,
  attestType,
  type EccPublic,
  ekEccP256,
  encode,
  encodePublic,
  handle,
  nameOfHandle,
  nameOfPublic,
  pcrDigest,
  qualifiedName,
  signature,
} from '../../../daemon/attest/tpm2/index.ts';
import { checkNames, type Verdict } from '../../../daemon/attest/verifier/verdict.ts';
import { silentLog } from '../../../daemon/log.ts';
import { type TestClock, testClock } from '../enrol/rig.ts';

export const now = Date.parse('2026-01-01T00:00:00Z');
export const sha256 = (text: string | Uint8Array): Buffer => createHash('sha256').update(text).digest();

/** A key pair, and its public part in the form of a TPM. */
function eccKey(template: EccPublic): { readonly area: EccPublic; readonly privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  return {
    area: { ...template, x: Buffer.from(x, 'base64url'), y: Buffer.from(y, 'base64url') },
    privateKey,
  };
}

/** A surface whose TPM is a pair of keys in this process. */
export class PretendTpm {
  readonly ek = eccKey(ekEccP256).area;
  readonly ak = eccKey(akEccP256);
  readonly ekSha256 = ekPublicSha256(this.ek);
  resetCount = 7;
  restartCount = 0;
  clock = 1000n;

  /** A trusted verdict with its quote; `change` goes over the quote once it is signed. */
  verdict(
    evidence: string,
    change: Partial<AuditedQuote> = {},
    options: { readonly secret?: Uint8Array | null; readonly why?: 'enrol' | 'renew' } = {},
  ): Extract<AuditEvent, { kind: 'verdict' }> {
    const { secret = sha256('secret'), why = 'enrol' } = options;
    this.clock += 10n;
    const pcrs = new Map([0, 14].map((pcr) => [pcr, sha256(`pcr ${pcr}`)]));
    const bound = {
      nonce: sha256(`nonce of ${evidence}`),
      keySha256: sha256('key'),
      channel: sha256('channel'),
      secret,
      logs: {
        firmware: null,
        ima: { from: { bytes: 0, records: 0 }, length: 5, sha256: sha256('list') },
        measured: null,
        systemd: null,
      },
    };
    const bank = { hash: algorithm.sha256, pcrs: [...pcrs.keys()] };
    const { clock, resetCount, restartCount } = this;
    const clockInfo = { clock, resetCount, restartCount, isSafe: true };
    const akName = nameOfPublic(this.ak.area);
    const said = encode(attest, {
      qualifiedSigner: qualifiedName(nameOfHandle(handle.endorsement), akName),
      extraData: qualifyingData(bound),
      clockInfo,
      firmwareVersion: 1n,
      attested: {
        type: attestType.quote,
        pcrSelect: [bank],
        pcrDigest: pcrDigest(algorithm.sha256, [bank], [{ hash: bank.hash, values: pcrs }]),
      },
    });
    const quote: AuditedQuote = {
      claims: { ekPublic: encodePublic(this.ek), akPublic: encodePublic(this.ak.area) },
      ...bound,
      bank: 'sha256',
      attest: said,
      signature: ecdsa(this.ak.privateKey, said),
      pcrs,
      ...change,
    };
    return {
      kind: 'verdict',
      surface: 'desk',
      evidence,
      why,
      verdict: {
        ...trusted,
        ekSha256: this.ekSha256,
        akName: akName.toString('hex'),
        clock: { ...clockInfo, clock: `${this.clock}`, firmwareVersion: '0000000000000001' },
      },
      quote,
    };
  }
}

/** TPMT_SIGNATURE. */
function ecdsa(key: KeyObject, bytes: Uint8Array): Buffer {
  const both = sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' });
  const [r, s] = [both.subarray(0, 32), both.subarray(32)];
  return encode(signature, { algorithm: algorithm.ecdsa, hash: algorithm.sha256, r, s });
}

export const trusted: Verdict = {
  v: 1,
  isTrusted: true,
  level: 1,
  ekSha256: null,
  akName: null,
  hasTrustedCertificate: true,
  checks: checkNames.map((name) => ({ name, outcome: 'passed', reason: `${name} is good` })),
  clock: null,
  epoch: 'first',
  reference: { name: 'pi', version: 3, sha256: sha256('set').toString('hex') },
  measured: { firmwareEvents: 0, files: 2, systemdRecords: 0, imaEntries: 5, imaViolations: 0 },
};

/** The same with one check that failed. */
export const refused = (verdict: Verdict, name: Verdict['checks'][number]['name']): Verdict => ({
  ...verdict,
  isTrusted: false,
  level: null,
  checks: verdict.checks.map((check) => (check.name === name ? { ...check, outcome: 'failed' } : check)),
});

export const started: AuditEvent = { kind: 'gateway', what: 'started', version: '0.1.0' };
export const certificate = (serial: number | string): AuditEvent => ({
  kind: 'certificate',
  surface: 'desk',
  trust: 'token',
  evidence: 'token-abc123',
  serial: `${serial}`,
  notAfter: now,
});
export const trust: AuditEvent = {
  kind: 'trust',
  surface: null,
  ekSha256: sha256('ek').toString('hex'),
  from: 'pending',
  to: 'quarantined',
  reason: 'a TPM that nobody knows — "yet"\n',
};
export const command: AuditEvent = {
  kind: 'command',
  command: {
    surface: 'desk',
    id: 'a1',
    slot: 2,
    verb: 'scale',
    target: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' },
    want: 3,
    saw: 2,
    arm: ['zero'],
    issuedAt: now - 5,
    receivedAt: now,
    endedAt: now + 40,
    user: 'surfaced:surface:desk',
    wasAccepted: true,
    phase: 'converged',
    code: 'Converged',
    now: 3,
    detail: 'three of three Pods are ready',
  },
};

/** A disk that never waits for the medium. */
export const quickDisk: Disk = diskWith((file) => ({ ...file, sync: async () => {} }));

/** The real disk with other methods. */
export function diskWith(change: (file: SegmentFile) => SegmentFile): Disk {
  return { open: async (file) => change(await realDisk.open(file)) };
}

export interface Place {
  readonly folder: string;
  readonly signer: Signer;
  readonly clock: TestClock;
}

/** A folder for a log, and a key that signs without a pause. */
export async function placeIn(folder: string, name = 'log'): Promise<Place> {
  const signer = { ...(await keySigner(path.join(folder, `${name}.pem`))), pauseMs: 0 };
  return { folder: path.join(folder, name), signer, clock: testClock(now) };
}

/** Opens a log with files of 64 KiB. */
export const openIn = (place: Place, disk: Disk = quickDisk, segmentBytes = 65_536) =>
  openAuditOn({ ...place, segmentBytes, log: silentLog }, disk);

/** Opens, appends and closes. */
export async function write(
  place: Place,
  events: readonly AuditEvent[],
  segmentBytes?: number,
): Promise<void> {
  const audit = await openIn(place, quickDisk, segmentBytes);
  for (const event of events) await audit.append(event);
  await audit.close();
}

/** All records of all files. */
export async function recordsIn(folder: string) {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(names.map((name) => readFile(path.join(folder, name), 'utf8')));
  const lines = texts.flatMap((text) => text.split('\n').slice(0, -1));
  return lines.map((line) => {
    const { place, json } = readEnvelope(Buffer.from(line));
    return { ...place, event: readEvent(json) };
  });
}

/** Waits until all records are signed: closing waits for a second at most. */
export async function allSigned(audit: AuditLog): Promise<void> {
  while (audit.signedSeq < audit.last.seq) await new Promise((resolve) => setTimeout(resolve, 10));
}

export const verifyIn = (folder: string, change: Partial<Parameters<typeof verifyAudit>[0]> = {}) =>
  verifyAudit({ path: folder, startHash: null, publishedHash: null, signer: null, ...change });
