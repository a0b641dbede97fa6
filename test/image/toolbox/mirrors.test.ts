import fc from 'fast-check';
import t from 'tap';
import { mirrorsIn } from '../../../image/toolbox/mirrors.ts';

const usual = { debian: 'http://deb.debian.org/debian', security: 'http://deb.debian.org/debian-security' };
const list = (text: string) => mirrorsIn([{ name: 'a.list', text }]);
const sources = (text: string) => mirrorsIn([{ name: 'a.sources', text }]);

t.test('one-line style', async (t) => {
  const found = { debian: 'https://a.example/debian', security: 'http://b.example/x/debian-security' };
  t.same(
    list(`# deb http://no.example/debian trixie main
deb-src http://no.example/debian trixie main
deb cdrom:[Debian]/ trixie main
deb [arch=amd64 signed-by=/k.gpg] https://a.example/debian/ trixie main
deb http://b.example/x/debian-security trixie-security main
deb http://late.example/debian trixie main
`),
    found,
  );
  t.same(list(''), usual);
  t.same(list('deb http://c.example/debian-ports sid main\ndeb http://d.example/ubuntu noble main'), usual);
  t.same(list('deb file:/srv/debian trixie main\ndeb mirror+http://m.example/debian trixie main'), usual);
});

t.test('deb822 style', async (t) => {
  t.same(
    sources(`Types: deb
# comment in between
URIs: http://a.example/debian
 http://second.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian-security

types: deb-src deb
uris: https://b.example/debian-security/
suites: bookworm-security
`),
    { debian: 'http://a.example/debian', security: 'https://b.example/debian-security' },
  );
  t.same(sources('Types: deb-src\nURIs: http://a.example/debian\n'), usual);
  t.same(sources('URIs: http://a.example/debian\n'), usual);
});

t.test('the first file counts', async (t) => {
  t.equal(
    mirrorsIn([
      { name: 'one.sources', text: 'Types: deb\nURIs: http://a.example/debian' },
      { name: 'two.list', text: 'deb http://b.example/debian trixie main' },
    ]).debian,
    'http://a.example/debian',
  );
});

t.test('any text gives addresses that can stand in a line for apt', async () => {
  const word = fc.constantFrom('deb', 'Types:', 'URIs:', 'http://a/debian', '[x', ']', '\n', ' ', '"', '\t');
  const text = fc.oneof(
    fc.string(),
    fc.array(word).map((words) => words.join('')),
  );
  fc.assert(
    fc.property(fc.constantFrom('a.list', 'a.sources'), text, (name, content) =>
      Object.values(mirrorsIn([{ name, text: content }])).every((address) =>
        /^https?:\/\/[^\s"\\]+[^/]$/.test(address),
      ),
    ),
  );
});
