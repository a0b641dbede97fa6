/** What the bundle of the package has in the place of the demo. */
import { SurfacedError } from '../../daemon/errors.ts';

function missing(): never {
  throw new SurfacedError(
    'E_USAGE',
    'demo: this package has the roles of real surfaces and gateways only; the demo is in the repository: `npm start`',
  );
}

export { missing as demoBanner, missing as startDemo };
