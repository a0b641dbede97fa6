/**
 * Secrets on the data partition, by name: sealed where there is a TPM, else in a file for root alone.
 *
 * They are sealed to the TPM and to no PCR. A PCR would say which software may open them; it would also keep the Wi-Fi shut
 * after each update, when nobody can come over the network to approve the new one, and after a restart without a reset of
 * the TPM, which not every board has. So a seal says this and no more: who has the card without the board has nothing.
 */
import path from 'node:path';
import { parseSealed, sealedText } from '../attest/secrets/sealed-file.ts';
import { seal, unseal } from '../attest/secrets/secret.ts';
import type { Tpm } from '../attest/tpm2/index.ts';
import { SurfacedError } from '../errors.ts';
import { type Disk, doing, forRoot, mostOwnBytes, removeFile, replaceFile } from './disk.ts';

/** What is kept. */
export type SecretName = 'wifi' | 'token';

/** Secrets at rest. */
export interface Secrets {
  /**
   * Keeps a secret in place of the one before.
   * @returns why it could not be sealed, though there is a TPM; null: it is, or there is none
   * @throws SurfacedError E_FIRST_BOOT
   */
  keep(name: SecretName, text: string): Promise<string | null>;
  /** Null: there is none. @throws SurfacedError E_SECRET, E_TPM_OPEN, E_TPM, E_FIRST_BOOT */
  open(name: SecretName): Promise<string | null>;
  /** @throws SurfacedError E_FIRST_BOOT */
  forget(name: SecretName): Promise<void>;
}

/** Secrets in a folder. */
export function secretsIn(options: {
  readonly disk: Disk;
  readonly folder: string;
  /** Null: there is none. */
  readonly tpm: Tpm | null;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}): Secrets {
  const { disk, folder, tpm, now, signal } = options;
  const plainFile = (name: SecretName): string => path.join(folder, name);
  const sealedFile = (name: SecretName): string => path.join(folder, `${name}.sealed`);
  const read = (file: string) => doing(file, () => disk.read(file, mostOwnBytes));

  const open = async (name: SecretName): Promise<string | null> => {
    const sealed = await read(sealedFile(name));
    if (sealed === null) return (await read(plainFile(name)))?.toString('utf8') ?? null;
    const label = path.basename(sealedFile(name));
    if (tpm === null)
      throw new SurfacedError('E_SECRET', `${label}: the TPM that has sealed it is not there`);
    const file = parseSealed(label, sealed.toString('utf8'));
    return (await unseal(tpm, label, file, signal)).toString('utf8');
  };

  const sealedOf = async (text: string): Promise<{ sealed: string | null; problem: string | null }> => {
    if (tpm === null) return { sealed: null, problem: null };
    try {
      const file = await seal(
        tpm,
        { text: Buffer.from(text), pcrs: [], updateKey: null, now: now() },
        signal,
      );
      return { sealed: sealedText(file), problem: null };
    } catch (problem) {
      if (problem instanceof SurfacedError) return { sealed: null, problem: problem.message };
      throw problem;
    }
  };

  return {
    open,
    keep: async (name, text) => {
      // Also so that what is tried at each start does not write at each start.
      const isKept = await open(name).then(
        (before) => before === text,
        () => false,
      );
      const isSealed = (await read(sealedFile(name))) !== null;
      if (isKept && isSealed === (tpm !== null)) return null;
      await doing(folder, () => disk.makeFolder(folder, 0o700));
      const { sealed, problem } = await sealedOf(text);
      // The new one first: a power cut between the two leaves both, and the file that the new one is from.
      if (sealed !== null) await replaceFile(disk, sealedFile(name), sealed, forRoot);
      else await replaceFile(disk, plainFile(name), text, forRoot);
      await removeFile(disk, sealed !== null ? plainFile(name) : sealedFile(name));
      return problem;
    },
    forget: async (name) => {
      await removeFile(disk, plainFile(name));
      await removeFile(disk, sealedFile(name));
    },
  };
}
