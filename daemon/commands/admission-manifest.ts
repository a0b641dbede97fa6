/** `surfaced admission manifest`: from the Gateway file and the gateway's CA to an object of the cluster. */
import { stringify } from 'yaml';
import { loadAuthority } from '../attest/authority/ca.ts';
import { checkAdmission } from '../bridge/admission/faults.ts';
import { admissionRegistration } from '../bridge/admission/registration.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { SurfacedError } from '../errors.ts';
import type { Output } from './cli.ts';

/** Makes the CA when there is none, as the first start would. @throws SurfacedError E_ADMISSION, E_CFG_*, E_CA_BROKEN, E_STATE_DIR */
export async function admissionManifest(file: string, form: Output): Promise<string> {
  const { admission, site, stateDir, shards } = await loadConfig('Gateway', file);
  if (admission === undefined)
    throw new SurfacedError(
      'E_ADMISSION',
      `${file}: it has no \`admission\`, so there is nothing to register`,
    );
  checkAdmission(admission);
  const { certificatePem: caPem } = await loadAuthority({
    ...{ stateDir, shared: shards?.ca ?? null },
    ...{ site, clock: systemClock },
  });
  const registration = admissionRegistration({ admission, site, caPem });
  return form === 'json'
    ? `${JSON.stringify(registration, null, 2)}\n`
    : stringify(registration, { lineWidth: 0, aliasDuplicateObjects: false });
}
