/**
 * The front of the API server as a process of its own, which can be killed and frozen: connections end here, and what is
 * stored stays behind it, as it does in etcd. `node --import=tsx hil/failures/front.ts PORT TARGET`
 */
import { Way } from './way.ts';

const [port, target] = process.argv.slice(2).map(Number);
if (port === undefined || target === undefined)
  throw new Error('front.ts needs a port and that of the target');
await Way.open(target, port);
process.stdout.write('open\n');
