/** `surfaced policy key` and `surfaced policy sign`: whose word makes a reference set count. */
import { randomBytes } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseReferenceSet, readImaContents } from '../attest/policy/reference-set.ts';
import { makeSigningKey, readSigningKey, signSet } from '../attest/policy/signature.ts';
import { maxConfigBytes } from '../config/load.ts';
import { readBounded } from '../config/read-bounded.ts';
import { SurfacedError } from '../errors.ts';
import type { Output } from './cli.ts';

/** Makes a key pair; nothing that is there is written over. @throws SurfacedError E_USAGE */
export async function makePolicyKey(options: {
  readonly out: string;
  readonly output: Output;
}): Promise<string> {
  const { out, output } = options;
  const { privatePem, publicPem, sha256 } = makeSigningKey();
  await writeNew(out, privatePem, 0o600);
  await writeNew(`${out}.pub`, publicPem, 0o644);
  if (output === 'json')
    return `${JSON.stringify({ privateKey: out, publicKey: `${out}.pub`, signer: sha256 }, null, 2)}\n`;
  return `Private key: ${out} (keep it away from the gateway)
Public key:  ${out}.pub (name it under policy.signers of the Gateway file)
Signer:      ${sha256}
`;
}

/** Writes a file that must not be there yet. @throws SurfacedError E_USAGE */
export async function writeNew(file: string, content: string | Uint8Array, mode: number): Promise<void> {
  try {
    await writeFile(file, content, { flag: 'wx', mode });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const what = code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`;
    throw new SurfacedError('E_USAGE', `${file}: ${what}`, { cause });
  }
}

/**
 * Signs sets that hold: nobody should sign what no gateway would read.
 * @throws SurfacedError E_POLICY_SET, E_CFG_READ, E_CFG_INVALID, E_USAGE
 */
export async function signPolicies(options: {
  readonly files: readonly string[];
  readonly key: string;
  readonly output: Output;
}): Promise<string> {
  const key = await readSigningKey(options.key);
  const signed: { file: string; name: string; version: number; signature: string }[] = [];
  for (const file of options.files) {
    const bytes = await readBounded(file, maxConfigBytes);
    const set = parseReferenceSet(bytes, file);
    await readImaContents(set, file);
    const { name, version } = set.metadata;
    signed.push({ file, name, version, signature: `${file}.sig` });
    await replace(`${file}.sig`, signSet(bytes, key));
  }
  if (options.output === 'json') return `${JSON.stringify({ signed }, null, 2)}\n`;
  return signed
    .map(
      ({ file, name, version, signature }) => `${file}: ${name} version ${version} signed (${signature})\n`,
    )
    .join('');
}

/** In one step, so that a gateway never reads half a file. */
async function replace(file: string, text: string): Promise<void> {
  const beside = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(4).toString('hex')}`);
  try {
    await writeFile(beside, text, { flag: 'wx', mode: 0o644 });
    await rename(beside, file);
  } catch (cause) {
    throw new SurfacedError(
      'E_USAGE',
      `${file}: cannot be written (${(cause as NodeJS.ErrnoException).code})`,
      { cause },
    );
  }
}
