/** A TPM from its configuration. */
import type { TpmConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import {
  defaultDevice,
  mssim,
  swtpm,
  Tpm,
  TpmError,
  TpmFormatError,
  TpmSessionError,
  TpmTransportError,
  tpmDevice,
} from './tpm2/index.ts';
import type { StreamAddress } from './tpm2/transports/stream.ts';

/** Connects with the first command, not before. */
export function openTpm(config: TpmConfig): Tpm {
  if (config.swtpm !== undefined) return new Tpm({ transport: swtpm(addressOf(config.swtpm)) });
  if (config.mssim !== undefined) return new Tpm({ transport: mssim(addressOf(config.mssim)) });
  return new Tpm({ transport: tpmDevice(config.device ?? defaultDevice) });
}

/** `host:port`, or the path of a socket. */
function addressOf(text: string): StreamAddress {
  const [, host, port] = /^(?:\[?)([^/[\]]+?)\]?:(\d{1,5})$/.exec(text) ?? [];
  return host === undefined ? { path: text } : { host, port: Number(port) };
}

/**
 * The project's own error for what a TPM answers; anything else is given back as it is.
 * @param doing what was under way, e.g. `reading the endorsement key`
 */
export function tpmProblem(problem: unknown, doing: string): unknown {
  if (problem instanceof TpmTransportError)
    return new SurfacedError('E_TPM_OPEN', `${doing}: ${problem.message}`, { cause: problem });
  if (problem instanceof TpmError && problem.is('LOCKOUT'))
    return new SurfacedError('E_TPM_LOCKOUT', `${doing}: ${problem.message}`, { cause: problem });
  const isTpms =
    problem instanceof TpmError || problem instanceof TpmSessionError || problem instanceof TpmFormatError;
  return isTpms ? new SurfacedError('E_TPM', `${doing}: ${problem.message}`, { cause: problem }) : problem;
}
