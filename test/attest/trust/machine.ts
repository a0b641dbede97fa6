/** A surface of the tests: a TPM on paper that opens credentials, measures files, is reset, and answers challenges. */
import { createDecipheriv, createECDH } from 'node:crypto';
import { ekPublicSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import { logDigests, qualifyingData } from '../../../daemon/attest/evidence/binding.ts';
import type { Challenge, Evidence, KeyClaims, LogParts } from '../../../daemon/attest/evidence/evidence.ts';
import type { LogPosition } from '../../../daemon/attest/logs/log.ts';
import { decode, type EccPublic, encodePublic, nameOfPublic } from '../../../daemon/attest/tpm2/index.ts';
import { kdfa, kdfe } from '../../../daemon/attest/tpm2/kdf.ts';
import { digestBuffer } from '../../../daemon/attest/tpm2/structures/common.ts';
import { akEccP256, ekEccP256 } from '../../../daemon/attest/tpm2/templates.ts';
import { Reader } from '../../../daemon/attest/tpm2/wire.ts';
import {
  attestationOf,
  attestBytes,
  eccKey,
  type PaperKey,
  type Quoting,
  signed,
} from '../verifier/paper-tpm.ts';
import { bytesOf, fileRecord, Pcrs } from '../verifier/world.ts';

/** What a certificate is asked for, and over which connection. */
export interface Bound {
  readonly keySha256: Uint8Array;
  readonly channel: Uint8Array;
}
export const bound: Bound = { keySha256: bytesOf('key'), channel: bytesOf('channel') };

export class Machine {
  readonly ek: PaperKey<EccPublic> = eccKey(ekEccP256);
  ak: PaperKey<EccPublic> = eccKey(akEccP256);
  #pcrs = new Pcrs('sha256');
  #records: Buffer[] = [];
  #clock = 1000n;
  resetCount = 1;
  restartCount = 0;

  get ekSha256(): string {
    return ekPublicSha256(this.ek.area);
  }

  get claims(): KeyClaims {
    return {
      ekPublic: encodePublic(this.ek.area),
      ekCertificate: null,
      ekChain: [],
      akPublic: encodePublic(this.ak.area),
    };
  }

  /** Measures a file, as `surfaced measure` does. */
  measure(path: string, content = 'good'): this {
    const { digests, bytes } = fileRecord(path, content, {
      pcr: 14,
      recnum: this.#records.length,
      bank: 'sha256',
    });
    this.#pcrs.extend(14, digests.get('sha256') ?? Buffer.alloc(0));
    this.#records.push(bytes);
    return this;
  }

  /** The power was cut: PCRs and logs begin anew, the clock may have gone back. */
  reboot(): this {
    this.#pcrs = new Pcrs('sha256');
    this.#records = [];
    this.#clock = 500n;
    this.resetCount++;
    return this;
  }

  /** ActivateCredential; another TPM than the one it was made for gets something else. */
  open({ blob, secret }: NonNullable<Challenge['credential']>): Uint8Array {
    const reader = new Reader(secret);
    const [x, y] = [digestBuffer.read(reader), digestBuffer.read(reader)];
    const own = createECDH('prime256v1');
    own.setPrivateKey(Buffer.from(this.ek.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'));
    const z = own.computeSecret(Buffer.concat([Buffer.from([4]), x, y]));
    const hash = this.ek.area.nameAlg;
    const seed = kdfe({ hash, z, label: 'IDENTITY', partyU: x, partyV: this.ek.area.x, bits: 256 });
    const body = new Reader(blob);
    digestBuffer.read(body);
    const name = nameOfPublic(this.ak.area);
    const none = new Uint8Array(0);
    const key = kdfa({ hash, key: seed, label: 'STORAGE', contextU: name, contextV: none, bits: 128 });
    const cipher = createDecipheriv('aes-128-cfb', key, Buffer.alloc(16));
    return decode('secret', digestBuffer, cipher.update(body.bytes(body.left)));
  }

  /** The log of measured files from a position on. */
  log(from: LogPosition): LogParts {
    const measured =
      this.#records.length === 0 ? null : { from, bytes: Buffer.concat(this.#records).subarray(from.bytes) };
    return { firmware: null, ima: null, measured, systemd: null };
  }

  /** Evidence for a challenge; `lies` change it before, `forged` after it is signed. */
  prove(
    challenge: Challenge,
    lies: { logs?: LogParts; quoting?: Partial<Quoting>; bound?: Bound; secret?: Uint8Array | null } = {},
    forged: Partial<Evidence> = {},
  ): Evidence {
    const logs = lies.logs ?? this.log(challenge.logs.measured);
    const secret = lies.secret ?? (challenge.credential && this.open(challenge.credential));
    const pcrs = this.#pcrs.values;
    this.#clock += 1000n;
    const attest = attestBytes(
      attestationOf(this.ak, {
        extraData: qualifyingData({
          ...(lies.bound ?? bound),
          nonce: challenge.nonce,
          secret,
          logs: logDigests(logs),
        }),
        bank: 'sha256',
        pcrs: new Map(pcrs),
        clock: this.#clock,
        resetCount: this.resetCount,
        restartCount: this.restartCount,
        isSafe: true,
        firmwareVersion: 1n,
        ...lies.quoting,
      }),
    );
    return { secret, attest, signature: signed(this.ak, attest), pcrs: new Map(pcrs), logs, ...forged };
  }
}
