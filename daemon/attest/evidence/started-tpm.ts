/** A TPM that may have been reset since it was last used. */
import { tpmProblem } from '../open-tpm.ts';
import { generalCommands, type Scope, type Tpm, TpmError } from '../tpm2/index.ts';

/**
 * Runs `work` in a scope. Behind /dev/tpmrm0 the kernel has started the TPM; a software TPM that was reset, or a chip whose
 * reset line was pulled, waits for TPM2_Startup: it is started and `work` done again, once. Its PCRs then begin anew and its
 * reset count tells the gateway.
 * @param doing what is under way, for messages
 * @throws what `work` throws, errors of the TPM as SurfacedError E_TPM, E_TPM_OPEN, E_TPM_LOCKOUT; the signal's reason
 */
export async function inStartedTpm<Value>(
  tpm: Tpm,
  doing: string,
  work: (scope: Scope) => Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  signal.throwIfAborted();
  try {
    return await tpm.scope(work, signal).catch(async (problem: unknown) => {
      if (!isNotStarted(problem)) throw problem;
      await tpm.scope(start, signal);
      return tpm.scope(work, signal);
    });
  } catch (problem) {
    throw tpmProblem(problem, doing);
  }
}

const isNotStarted = (problem: unknown): boolean => problem instanceof TpmError && problem.is('INITIALIZE');

/** TPM2_Startup(CLEAR) (Part 3, section 9.3); that somebody else was quicker is no problem. */
async function start(scope: Scope): Promise<void> {
  const call = { handles: {}, parameters: { startupType: generalCommands.startupType.clear } };
  await scope.execute(generalCommands.startup, call).catch((problem: unknown) => {
    if (!isNotStarted(problem)) throw problem;
  });
}
