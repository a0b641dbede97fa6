/** Makes bundles of updates for tests: small, but whole and signed as RAUC does it, with openssl. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';

/** A reason to skip tests that need signed bundles, or false. */
export const noOpenssl: string | false =
  spawnSync('openssl', ['version']).status === 0
    ? false
    : 'openssl is not installed (apt-get install openssl)';

const blockBytes = 4096;

/** Whoever signs bundles: a CA and a signer below it, in files of a folder. */
export interface BundleSigner {
  readonly folder: string;
  /** PEM of the CA. */
  readonly authority: string;
}

const openssl = (folder: string, ...args: readonly string[]): void => {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
};

/** Makes a CA and a signer; the folder is made. */
export function makeBundleSigner(folder: string, name = 'Release'): BundleSigner {
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, 'extensions.cnf'),
    `[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash
[signer]\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning
[req]\ndistinguished_name=dn\n[dn]\n`,
  );
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-config', 'extensions.cnf'];
  openssl(
    folder,
    ...['req', '-x509', ...key, '-extensions', 'ca', '-subj', `/CN=${name} CA`, '-days', '3650'],
    ...['-keyout', 'ca.key', '-out', 'ca.pem'],
  );
  openssl(folder, 'req', ...key, '-subj', `/CN=${name}`, '-keyout', 'signer.key', '-out', 'signer.csr');
  openssl(
    folder,
    ...['x509', '-req', '-in', 'signer.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '3000'],
    ...['-extfile', 'extensions.cnf', '-extensions', 'signer', '-out', 'signer.pem'],
  );
  return { folder, authority: path.join(folder, 'ca.pem') };
}

/** Hash of the root of a slot, as it stands in a bundle of this version here. */
export const rootHashOf = (version: string): string => createHash('sha256').update(version).digest('hex');

/** A reference set of a version: the root that the machine measures when it runs it. */
export function referencesOf(version: string, name = 'surfaced-image', setVersion = 1): string {
  const sha256 = createHash('sha256')
    .update(`${rootHashOf(version)}\n`)
    .digest('hex');
  return stringify({
    apiVersion: 'surfaced.dev/v1alpha1',
    kind: 'ReferenceSet',
    metadata: { name, version: setVersion },
    spec: { files: [{ path: '/run/surfaced/boot/root-hash', sha256: [sha256] }], mayHaveOtherFiles: true },
  });
}

/** Writes a bundle; its payload is random, so that no two are equal. */
export function makeBundle(
  file: string,
  signer: BundleSigner,
  { version, references = referencesOf(version) }: { readonly version: string; readonly references?: string },
): void {
  const payload = randomBytes(2 * blockBytes);
  const salt = randomBytes(32);
  const hash = (block: Uint8Array): Buffer => createHash('sha256').update(salt).update(block).digest();
  const tree = Buffer.alloc(blockBytes);
  hash(payload.subarray(0, blockBytes)).copy(tree);
  hash(payload.subarray(blockBytes)).copy(tree, 32);
  const manifest = `[update]
compatible=surfaced-pi-arm64
version=${version}

[bundle]
format=verity
verity-hash=${hash(tree).toString('hex')}
verity-salt=${salt.toString('hex')}
verity-size=${tree.length}

[image.rootfs]
sha256=${createHash('sha256').update(payload).digest('hex')}
size=${payload.length}
filename=rootfs.img

[meta.surfaced]
version=${version}
root-hash=${rootHashOf(version)}
references=${Buffer.from(references).toString('base64')}
`;
  const beside = `${file}.manifest`;
  writeFileSync(beside, manifest);
  openssl(
    signer.folder,
    ...['cms', '-sign', '-binary', '-nodetach', '-nosmimecap', '-md', 'sha256', '-outform', 'DER'],
    ...['-signer', 'signer.pem', '-inkey', 'signer.key', '-in', beside, '-out', `${beside}.cms`],
  );
  const signature = readFileSync(`${beside}.cms`);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(signature.length));
  writeFileSync(file, Buffer.concat([payload, tree, signature, size]));
}
