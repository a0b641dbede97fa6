import t from 'tap';
import {
  DerReader,
  oidOf,
  smallInteger,
  timeOf,
  wholeBytes,
} from '../../../daemon/attest/certificates/der.ts';
import { readName } from '../../../daemon/attest/certificates/name.ts';

const element = (hex: string) => new DerReader(Buffer.from(hex, 'hex'), 'field').next();
const refusal = { code: 'E_ATTEST_CERTIFICATE', message: /^field: / };

t.test('elements', async (t) => {
  t.equal(element(`308180${'00'.repeat(128)}`).content.length, 128);
  for (const [what, hex] of Object.entries({
    'nothing at all': '',
    'no length': '30',
    'a length without an end': '3080',
    'a length that is not minimal': `30817f${'00'.repeat(127)}`,
    'a length with a zero in front': `30820080${'00'.repeat(128)}`,
    'a length of four bytes': '308400000001ff',
    'more than there is': '300201',
    'a long tag': '1f8101010100',
  })) {
    t.throws(() => element(hex), refusal, what);
  }
});

t.test('values', async (t) => {
  const oid = (hex: string) => oidOf(element(hex), 'field');
  t.equal(oid('06056781050801'), '2.23.133.8.1');
  t.equal(oid('06082a8648ce3d040302'), '1.2.840.10045.4.3.2');
  for (const hex of ['0600', '060186', '06028001', '0603550080']) t.throws(() => oid(hex), refusal, hex);

  t.equal(smallInteger(element('02020080'), 'field'), 128);
  for (const hex of ['0200', '020180', '02050080000000'])
    t.throws(() => smallInteger(element(hex), 'field'), refusal);
  t.throws(() => wholeBytes(element('03020180'), 'field'), refusal);
  t.throws(() => wholeBytes(element('0300'), 'field'), refusal);
});

t.test('times', async (t) => {
  const time = (tag: number, text: string) =>
    timeOf({ tag, content: Buffer.from(text), bytes: Buffer.alloc(0) }, 'field');
  t.equal(time(0x17, '500101000000Z'), Date.UTC(1950, 0, 1));
  t.equal(time(0x17, '491231235959Z'), Date.UTC(2049, 11, 31, 23, 59, 59));
  t.equal(time(0x18, '99991231235959Z'), Date.UTC(9999, 11, 31, 23, 59, 59));
  for (const text of ['270230000000Z', '2706010000Z', '270601000000+0100', '20270601000000Z', '']) {
    t.throws(() => time(0x17, text), refusal, text);
  }
  t.throws(() => time(0x04, '20270601000000Z'), refusal);
});

t.test('names', async (t) => {
  const name = (type: string, text: string) => {
    const value = `${type}${(text.length / 2).toString(16).padStart(2, '0')}${text}`;
    const wrap = (tag: string, content: string) =>
      `${tag}${(content.length / 2).toString(16).padStart(2, '0')}${content}`;
    return readName(element(wrap('30', wrap('31', wrap('30', `0603550403${value}`)))), 'field');
  };
  const hex = (text: string) => Buffer.from(text).toString('hex');
  const usual = name('13', hex('Vendor CA'));
  t.equal(usual.text, 'CN=Vendor CA');
  t.equal(name('0c', hex(' VENDOR  ca ')).key, usual.key, 'string type, case and white space do not count');
  t.not(name('0c', hex('Vendor CB')).key, usual.key);
  t.equal(name('0c', hex('x, O=Known\n')).text, 'CN=x\\, O\\=Known\\u000a', 'text cannot pose as structure');
  const broken = name('0c', 'ff');
  t.equal(broken.text, 'CN=#0c01ff', 'what is no text is shown in hex');
  t.not(name('0c', hex('#0c01ff')).key, broken.key);
});
