import t from 'tap';
import { networkOf } from '../../daemon/attest/network.ts';

t.test('one sender', async (t) => {
  const rows: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:a:b:1:2:3:4', '2001:db8:a:b'],
    ['2001:0db8:000a:b::', '2001:db8:a:b'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['::1', '0:0:0:0'],
    ['no address', 'no address'],
  ];
  for (const [address, network] of rows) t.equal(networkOf(address), network, address);
});
