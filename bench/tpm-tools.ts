/**
 * The peer of the prover: tpm2-tools in a shell script, one process a step, with what goes from step to step in files. It
 * makes keys from the same templates, so that both are judged by the same rules.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { logDigests, qualifyingData } from '../daemon/attest/evidence/binding.ts';
import type { Evidence, KeyClaims } from '../daemon/attest/evidence/evidence.ts';
import { decode, encodePublic } from '../daemon/attest/tpm2/index.ts';
import { publicBuffer } from '../daemon/attest/tpm2/structures/public.ts';
import { type Asked, noLogs } from './proofs.ts';
import { runShell } from './shell.ts';
import { type EkKind, ekKinds } from './tpm-maker.ts';

/** What the bench needs of tpm2-tools: one of them, as they come in one package. */
export const toolsNeed = 'tpm2_quote';

/** What a file of tpm2_activatecredential begins with: a magic number and a version. */
const credentialHead = Buffer.from('badcc0de00000001', 'hex');
const akAttributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda';
const pcrBytes = 32;

const sizedBytes = (bytes: Uint8Array): Buffer => {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(bytes.length);
  return Buffer.concat([size, bytes]);
};

/** A script's working folder, and the TPM that it talks to. */
export class ToolScript {
  readonly #folder: string;
  readonly #kind: EkKind;
  readonly #tcti: string;

  private constructor(folder: string, kind: EkKind, socketPath: string) {
    this.#folder = folder;
    this.#kind = kind;
    this.#tcti = `swtpm:path=${socketPath}`;
  }

  /** @param options.socketPath of a swtpm; its control channel is at the same with `.ctrl` */
  static async in(
    folder: string,
    options: { readonly kind: EkKind; readonly socketPath: string },
  ): Promise<ToolScript> {
    await mkdir(folder, { recursive: true });
    return new ToolScript(folder, options.kind, options.socketPath);
  }

  /** Both keys, and the certificate; what was loaded is flushed, as these tools leave it in a TPM without a manager. */
  async makeKeys(): Promise<void> {
    const { certificateIndex } = ekKinds[this.#kind];
    await this.run(
      `tpm2_createek -Q -G ${this.#kind} -c ek.ctx -u ek.pub`,
      `tpm2_nvread -Q -C o 0x${certificateIndex.toString(16)} -o ek.der`,
      `tpm2_createprimary -Q -C e -g sha256 -G ecc256:ecdsa-sha256:null -a '${akAttributes}' -c ak.ctx -o ak.pub`,
      'tpm2_flushcontext -t',
    );
  }

  /** What {@link makeKeys} has left. */
  async claims(): Promise<KeyClaims> {
    const area = async (name: string) => encodePublic(decode(name, publicBuffer, await this.#read(name)));
    const [ekPublic, akPublic] = [await area('ek.pub'), await area('ak.pub')];
    return { ekPublic, ekCertificate: await this.#read('ek.der'), ekChain: [], akPublic };
  }

  /** Puts a challenge where the script finds it. */
  async receive({ challenge: { credential } }: Asked): Promise<void> {
    if (credential === null) return;
    const parts = [credential.blob, credential.secret].map(sizedBytes);
    await writeFile(this.#file('credential'), Buffer.concat([credentialHead, ...parts]));
  }

  /** Opens the credential, if there is one, reads the PCRs and quotes them. */
  async prove({ challenge, bound, secret }: Asked): Promise<void> {
    const { nonce, pcrs, bank, credential } = challenge;
    const list = `${bank}:${pcrs.join(',')}`;
    // A script would have to hash this itself; here it is spared the time.
    const data = qualifyingData({ nonce, ...bound, secret, logs: logDigests(noLogs) }).toString('hex');
    const activation = [
      'tpm2_startauthsession --policy-session -S session.ctx',
      'tpm2_policysecret -Q -S session.ctx -c e',
      'tpm2_activatecredential -Q -c ak.ctx -C ek.ctx -P session:session.ctx -i credential -o secret',
      'tpm2_flushcontext session.ctx',
      'tpm2_flushcontext -t',
    ];
    await this.run(
      ...(credential === null ? [] : activation),
      `tpm2_pcrread -Q ${list} -o pcrs`,
      `tpm2_quote -Q -c ak.ctx -l ${list} -q ${data} -g sha256 -m message -s signature`,
      'tpm2_flushcontext -t',
    );
  }

  /** What {@link prove} has left. */
  async evidence({ challenge, secret }: Asked): Promise<Evidence> {
    const values = await this.#read('pcrs');
    const value = (index: number) => values.subarray(index * pcrBytes, (index + 1) * pcrBytes);
    return {
      secret: secret && (await this.#read('secret')),
      attest: await this.#read('message'),
      signature: await this.#read('signature'),
      pcrs: new Map(challenge.pcrs.map((pcr, index) => [pcr, value(index)])),
      logs: noLogs,
    };
  }

  /** Runs the lines in one shell. @throws Error with what they said, when one of them does not end with 0 */
  run(...lines: readonly string[]): Promise<void> {
    return runShell(this.#folder, [`export TPM2TOOLS_TCTI='${this.#tcti}'`, ...lines]);
  }

  #file(name: string): string {
    return path.join(this.#folder, name);
  }

  #read(name: string): Promise<Buffer> {
    return readFile(this.#file(name));
  }
}
