/** The version of this program, from its package. */
import { createRequire } from 'node:module';

/** As in package.json; the compiled program is one folder deeper. */
export const { version } = createRequire(import.meta.url)(
  import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json',
) as { readonly version: string };
