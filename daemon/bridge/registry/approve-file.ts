/** Approval of a TPM in a registry folder: its key goes into the file of its surface, for the command line and the pages. */
import type { Level } from '../../attest/types.ts';
import { apiVersion } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import { silentLog } from '../../log.ts';
import { openFolderRegistry } from './folder.ts';
import { addSurfaceFile, changeSurface } from './folder-files.ts';

/** What an operator decides about a surface. */
export interface Approval {
  readonly name: string;
  /** Hex of SHA-256 of the endorsement key's SubjectPublicKeyInfo. */
  readonly ekSha256: string;
  /** What is asserted about how it boots; null: as the file has it, 0 when it has nothing. */
  readonly level: Level | null;
  /** Name of its reference sets; null: as the file has it. */
  readonly policy: string | null;
  /** Whether another key may be replaced. */
  readonly isReplacing: boolean;
}

/** What came of it. */
export interface Approved {
  readonly files: readonly string[];
  readonly isRevoked: boolean;
  readonly assertedLevel: number;
  readonly policy: string | null;
}

/**
 * Writes an approval into the registry folder of a gateway; makes a file when the surface has none.
 * @param folder null: there is none
 * @throws SurfacedError E_USAGE when the name has another key or the key has another name, E_REGISTRY, E_CFG_INVALID
 */
export async function approveIn(folder: string | null, approval: Approval): Promise<Approved> {
  if (folder === null)
    throw new SurfacedError('E_REGISTRY', 'the surfaces of this gateway are in the cluster, not in a folder');
  const { name, ekSha256, level, policy, isReplacing } = approval;
  checkName(name);
  const registry = await openFolderRegistry({ folder, log: silentLog });
  const surfaces = registry.list();
  await registry.close();
  const owner = surfaces.find(
    ({ metadata, spec }) => spec.tpm?.ekSha256 === ekSha256 && metadata.name !== name,
  );
  if (owner)
    throw new SurfacedError(
      'E_USAGE',
      `this TPM is already approved as "${owner.metadata.name}"; one key is one surface`,
    );
  const known = surfaces.find(({ metadata }) => metadata.name === name);
  const earlier = known?.spec.tpm?.ekSha256;
  if (earlier !== undefined && earlier !== ekSha256 && !isReplacing)
    throw new SurfacedError(
      'E_USAGE',
      `surface "${name}" has another TPM (endorsement key ${earlier}); --replace puts this one in its place`,
    );

  const files = await changeSurface({
    folder,
    name,
    change: (document) => {
      document.setIn(['spec', 'tpm', 'ekSha256'], ekSha256);
      if (level !== null) document.setIn(['spec', 'tpm', 'assertedLevel'], level);
      if (policy !== null) document.setIn(['spec', 'policy'], policy);
    },
  });
  if (files.length === 0) {
    const tpm = { ekSha256, ...(level === null ? {} : { assertedLevel: level }) };
    const spec = { tpm, ...(policy === null ? {} : { policy }) };
    const surface = { apiVersion, kind: 'ControlSurface', metadata: { name }, spec };
    files.push(await addSurfaceFile(folder, surface, name));
  }
  return {
    files,
    isRevoked: known?.spec.isRevoked ?? false,
    assertedLevel: level ?? known?.spec.tpm?.assertedLevel ?? 0,
    policy: policy ?? known?.spec.policy ?? null,
  };
}

/** @throws SurfacedError E_USAGE unless a surface can have this name */
export function checkName(name: string): void {
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
    throw new SurfacedError('E_USAGE', `name: expected a name of a-z, 0-9 and dashes, got "${name}"`);
}
