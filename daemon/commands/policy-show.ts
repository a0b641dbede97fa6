/** `surfaced policy show`: reference sets as lists show them. */
import { isValidAt } from '../attest/policy/match.ts';
import { readReference } from '../attest/policy/reference-set.ts';
import { readSigners } from '../attest/policy/signature.ts';
import { infoOf, openPolicies } from '../attest/policy/store.ts';
import type { PolicyInfo } from '../attest/policy/types.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { SurfacedError } from '../errors.ts';
import { silentLog } from '../log.ts';
import type { Output } from './cli.ts';
import { columns } from './columns.ts';

interface Shown {
  readonly sets: readonly PolicyInfo[];
  readonly problems: readonly { readonly source: string; readonly message: string }[];
  readonly isSignatureChecked: boolean;
}

/** The sets of files, or of the gateway's folder when there are none. @throws SurfacedError */
export async function showPolicies(options: {
  readonly files: readonly string[];
  readonly gatewayConfigPath: string | null;
  readonly output: Output;
}): Promise<string> {
  const { files, gatewayConfigPath, output } = options;
  if (files.length === 0 && gatewayConfigPath === null)
    throw new SurfacedError('E_USAGE', 'name files, or a Gateway file with --config');
  const shown =
    files.length > 0 ? await ofFiles(files, gatewayConfigPath) : await ofGateway(gatewayConfigPath!);
  const now = systemClock.now();
  if (output === 'json') {
    const sets = shown.sets.map((set) => ({ ...set, isValid: isValidAt(set, now) }));
    return `${JSON.stringify({ ...shown, sets }, null, 2)}\n`;
  }
  const rows = shown.sets.map((set) => [
    set.name,
    `${set.version}`,
    validity(set, now),
    shown.isSignatureChecked ? (set.signer?.slice(0, 16) ?? 'unsigned') : 'not checked',
    set.file,
  ]);
  const table = columns([['NAME', 'VERSION', 'VALID', 'SIGNER', 'FILE'], ...rows]);
  return `${table}${shown.problems.map(({ message }) => `\nproblem: ${message}\n`).join('')}`;
}

async function ofGateway(gatewayConfigPath: string): Promise<Shown> {
  const { policy } = await loadConfig('Gateway', gatewayConfigPath);
  const { references, signers, acceptUnsigned } = policy;
  if (references === undefined)
    throw new SurfacedError('E_USAGE', `${gatewayConfigPath}: policy.references names no folder`);
  const store = await openPolicies({
    folder: references,
    signers,
    acceptUnsigned,
    clock: systemClock,
    log: silentLog,
  });
  await store.close();
  return { sets: store.list(), problems: store.problems(), isSignatureChecked: true };
}

async function ofFiles(files: readonly string[], gatewayConfigPath: string | null): Promise<Shown> {
  const policy = gatewayConfigPath === null ? null : (await loadConfig('Gateway', gatewayConfigPath)).policy;
  const signing = policy && {
    signers: await readSigners(policy.signers),
    acceptUnsigned: policy.acceptUnsigned,
  };
  const sets: PolicyInfo[] = [];
  const problems: { source: string; message: string }[] = [];
  for (const file of files) {
    try {
      sets.push(infoOf(await readReference(file, signing)));
    } catch (error) {
      if (!(error instanceof SurfacedError)) throw error;
      problems.push({ source: file, message: error.message });
    }
  }
  return { sets, problems, isSignatureChecked: signing !== null };
}

const day = (instant: number): string => `${new Date(instant).toISOString().slice(0, 16)}Z`;

function validity(set: PolicyInfo, now: number): string {
  const { notBefore, notAfter } = set;
  if (notBefore !== null && now < notBefore) return `from ${day(notBefore)}`;
  if (notAfter === null) return 'yes';
  return isValidAt(set, now) ? `until ${day(notAfter)}` : `ended ${day(notAfter)}`;
}
