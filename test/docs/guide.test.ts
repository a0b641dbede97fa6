/** docs/build-a-surface.md: its files are good ones, its links lead somewhere, what it prints is what is printed. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { parseConfig } from '../../daemon/config/load.ts';
import { partDrivers } from '../../daemon/hw/chips/table.ts';
import { panelFindings } from '../../daemon/hw/panels.ts';
import { composePanel } from '../../daemon/hw/parts/compose.ts';
import { root, textOf } from '../structure/source-files.ts';

const guide = textOf('docs/build-a-surface.md');
const files = new Map(
  [...guide.matchAll(/^cat > (\S+) <<'END'\n([\s\S]*?)^END$/gm)].map(([, name = '', text = '']) => [
    name,
    text,
  ]),
);
/** What `surfaced enroll config --preset parts` prints above the panel. */
const head = `apiVersion: surfaced.dev/v1alpha1
kind: Device
gateway: { url: 'https://192.168.1.10:8443', caPin: 'sha256:${'0'.repeat(64)}' }
identity: { tpm: {} }
panel:
  preset: parts
`;
const wired = ['desk-i2c.yaml', 'desk-stemma.yaml', 'desk-gpio.yaml'];

/** The file of step 5, made by the guide's own two commands of sed. */
function composed(example: string): string {
  const [, above = '', panel = ''] =
    /\| sed '(.+)' > surfaced\.yaml\nsed -n '(.+)' <checkout>/.exec(guide) ?? [];
  const sed = (input: string, ...args: readonly string[]): string =>
    spawnSync('sed', [...args], { input, encoding: 'utf8' }).stdout;
  return `${sed(head, above)}${sed(textOf(`docs/examples/${example}`), '-n', panel)}`;
}

t.test('the files that it has people write are good ones', async (t) => {
  t.same([...files.keys()], ['gateway.yaml', 'surfaces/desk.yaml']);
  const gateway = parseConfig('Gateway', files.get('gateway.yaml') ?? '', 'gateway.yaml');
  t.same(gateway.enrol.hosts, ['192.168.1.10']);
  t.ok(guide.includes(`url: https://${gateway.enrol.hosts[0]}:8443`), 'surfaced.yaml names the same host');
  const surface = parseConfig('ControlSurface', files.get('surfaces/desk.yaml') ?? '', 'desk.yaml');
  t.equal(surface.metadata.name, 'desk');
});

t.test('the file for the boot partition is a good one, for each picture', async (t) => {
  const { bindings } = parseConfig('ControlSurface', files.get('surfaces/desk.yaml') ?? '', 'desk.yaml').spec;
  for (const example of wired) {
    const { panel, identity } = parseConfig('Device', composed(example), 'surfaced.yaml');
    t.same(identity, parseConfig('Device', head, 'head').identity, example);
    t.same(panelFindings(panel), [], example);
    if ('port' in panel) throw new Error(`${example} is a MIDI panel`);
    const { panel: made } = composePanel(panel, partDrivers);
    const names = made?.spec.controls.map(({ name }) => name) ?? [];
    t.ok(
      bindings.some(({ control }) => names.includes(control)),
      `${example}: a binding of the guide has its control`,
    );
    t.ok(names.includes('arm') && made?.spec.roles.arm === 'arm', `${example}: has what step 9 asks to hold`);
  }
});

t.test('what doctor says of the file of step 5 is what it prints', async (t) => {
  const { panel } = parseConfig('Device', composed('desk-i2c.yaml'), 'surfaced.yaml');
  if ('port' in panel) throw new Error('a MIDI panel');
  const controls = composePanel(panel, partDrivers).panel?.spec.controls.length;
  t.ok(guide.includes(`surfaced.yaml: ${panel.parts?.length} parts, ${controls} controls`));
});

t.test('the help of image:try is as it stands there', async (t) => {
  const { stdout } = spawnSync(process.execPath, ['scripts/image-try.mjs', '--help'], {
    cwd: root,
    encoding: 'utf8',
  });
  t.ok(stdout.length > 0 && guide.includes(stdout), stdout);
});

/** As GitHub makes anchors of headings. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .replace(/`/g, '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

t.test('links lead somewhere', async (t) => {
  const links = [...guide.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
  t.ok(links.length > 40, `${links.length} links`);
  for (const [link, file = '', anchor] of links) {
    const target = file === '' ? 'docs/build-a-surface.md' : path.posix.join('docs', file);
    if (!existsSync(path.join(root, target))) {
      t.fail(`${link}: there is no ${target}`);
      continue;
    }
    if (anchor !== undefined) t.ok(anchorsOf(textOf(target)).includes(anchor), link);
  }
});

t.test('every picture of a fault that a matrix can show is in its table', async (t) => {
  const table = guide.slice(guide.indexOf('## When a light says otherwise'));
  const faults = [...textOf('docs/build.md').matchAll(/^\| (.+?) \| .+ \|$/gm)].map(
    ([, shown = '']) => shown,
  );
  const hues = faults.flatMap(
    (shown) => /sky blue|vermilion|purple|yellow|amber|white/.exec(shown)?.[0] ?? [],
  );
  t.ok(hues.length > 8, `${hues.length} rows of docs/build.md`);
  for (const hue of new Set(hues)) t.ok(table.includes(hue), hue);
});
