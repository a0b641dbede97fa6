/** The program under test, as the guest runs it. */
import { fileURLToPath } from 'node:url';
import { guestNode } from '../boot.ts';

const source = fileURLToPath(new URL('../../../daemon/main.ts', import.meta.url));

/** Makes the command line of `surfaced` with some arguments: as compiled where SURFACED_COMPILED says so, else from source. */
export function surfacedIn({
  SURFACED_COMPILED: compiled = '',
}: NodeJS.ProcessEnv): (...args: readonly string[]) => readonly string[] {
  const program = compiled === '' ? ['--import=tsx', source] : [compiled];
  return (...args) => [...guestNode, ...program, ...args];
}
