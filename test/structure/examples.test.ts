/** The example configs are good ones, and the pages that name them name files that are there. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { type Kind, loadConfig } from '../../daemon/config/load.ts';
import { midiPresets, partPresets } from '../../daemon/config/panel.ts';
import { panelFindings } from '../../daemon/hw/panels.ts';
import { root, textOf } from './source-files.ts';

const examples = readdirSync(path.join(root, 'docs/examples'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => `docs/examples/${file}`);

t.test('every example is a good config', async (t) => {
  const presets = new Set<string>();
  for (const file of examples) {
    const kind = /^kind: (\w+)$/m.exec(textOf(file))?.[1] as Kind;
    const config = await loadConfig(kind, path.join(root, file));
    if (config.kind !== 'Device') continue;
    t.same(panelFindings(config.panel), [], `${file}: the panel can be made`);
    presets.add(config.panel.preset);
  }
  // A Launchpad X differs from the Mini in its name alone.
  const wanted = [...midiPresets, ...partPresets].filter((preset) => preset !== 'launchpad-x');
  t.same([...presets].sort(), [...wanted].sort(), 'one for each panel');
});

t.test('examples and pictures that are named are there', async (t) => {
  const pages = ['README.md', ...readdirSync(path.join(root, 'docs')).map((file) => `docs/${file}`)];
  for (const page of [...pages, ...examples].filter((file) => /\.(?:md|yaml)$/.test(file))) {
    for (const [file] of textOf(page).matchAll(/docs\/(?:examples|images)\/[\w./-]+\.(?:yaml|png)/g))
      t.ok(existsSync(path.join(root, file)), `${page}: ${file}`);
  }
});
