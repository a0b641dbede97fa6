/** The software TPM of tests: always the same one, whose endorsement keys and certificates are known. */
import { SoftwareTpm } from '../../../../hil/software-tpm.ts';

export { isInstalled, SoftwareTpm, withoutSwtpm } from '../../../../hil/software-tpm.ts';

/** Starts one with a fresh copy of the state in `state/`. */
export const beginSoftwareTpm = (listensOn: 'unix' | 'tcp' = 'unix'): Promise<SoftwareTpm> =>
  SoftwareTpm.begin({ listensOn, state: new URL('state/tpm2-00.permall', import.meta.url) });
