import { existsSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { type Import, importsOf, root, sourceFiles, textOf } from './source-files.ts';

/** Parts of the block diagram; the folder or file that a path belongs to. */
type Part =
  | 'main'
  | 'commands'
  | 'device'
  | 'gateway'
  | 'hw'
  | 'attest'
  | 'tpm2'
  | 'kube'
  | 'bridge'
  | 'web'
  | 'metrics'
  | 'tracing'
  | 'surface'
  | 'config'
  | 'first-boot'
  | 'update'
  | 'common'
  | 'image'
  | 'hil';

/** First match wins. */
const parts: readonly (readonly [prefix: string, part: Part])[] = [
  ['daemon/main.ts', 'main'],
  ['daemon/commands/', 'commands'],
  ['daemon/device.ts', 'device'],
  ['daemon/gateway.ts', 'gateway'],
  ['daemon/gateway-bus.ts', 'gateway'],
  ['daemon/gateway-shards.ts', 'gateway'],
  ['daemon/gateway-trusted.ts', 'gateway'],
  ['daemon/gateway-pages.ts', 'gateway'],
  ['daemon/gateway-pages/', 'gateway'],
  ['daemon/gateway-updates.ts', 'gateway'],
  ['daemon/gateway-registry.ts', 'gateway'],
  ['daemon/gateway-telemetry.ts', 'gateway'],
  ['daemon/metrics/', 'metrics'],
  ['daemon/tracing/', 'tracing'],
  ['daemon/hw/', 'hw'],
  ['daemon/attest/tpm2/', 'tpm2'],
  ['daemon/attest/', 'attest'],
  ['daemon/bridge/kube/', 'kube'],
  ['daemon/bridge/', 'bridge'],
  ['daemon/web/', 'web'],
  ['daemon/surface/', 'surface'],
  ['daemon/config/', 'config'],
  ['daemon/first-boot/', 'first-boot'],
  ['daemon/update/', 'update'],
  ['daemon/errors.ts', 'common'],
  ['daemon/gateway-certificate.ts', 'common'],
  ['daemon/log.ts', 'common'],
  ['daemon/clock.ts', 'common'],
  ['daemon/health.ts', 'common'],
  ['daemon/version.ts', 'common'],
  ['daemon/watch-folder.ts', 'common'],
  ['daemon/whole-files.ts', 'common'],
  ['daemon/notify.ts', 'common'],
  ['image/', 'image'],
  ['hil/', 'hil'],
];
const partOf = (file: string): Part | null =>
  parts.find(([prefix]) => file === prefix || (prefix.endsWith('/') && file.startsWith(prefix)))?.[1] ?? null;

const roles: readonly Part[] = [
  'device',
  'gateway',
  'hw',
  'attest',
  'tpm2',
  'bridge',
  'kube',
  'web',
  'metrics',
  'tracing',
  'surface',
  'config',
];

/** What each part may use; itself and `common` always. main -> device, gateway -> the rest -> surface, config. */
const mayUse: Readonly<Record<Part, readonly Part[]>> = {
  main: ['commands', ...roles, 'hil'],
  commands: [...roles, 'first-boot', 'update'],
  device: ['hw', 'attest', 'tpm2', 'bridge', 'surface', 'config'],
  gateway: ['attest', 'tpm2', 'bridge', 'kube', 'web', 'metrics', 'tracing', 'config', 'surface', 'update'],
  hw: ['surface', 'config'],
  attest: ['tpm2', 'config'],
  tpm2: [],
  kube: ['config'],
  bridge: ['kube', 'surface', 'config'],
  web: ['surface', 'config'],
  metrics: ['bridge', 'config'],
  tracing: ['bridge'],
  surface: [],
  config: [],
  'first-boot': ['attest', 'tpm2', 'hw', 'config'],
  update: ['attest', 'config'],
  common: [],
  image: ['attest', 'config', 'update'],
  hil: ['main', 'commands', ...roles, 'first-boot', 'update', 'image'],
};

/** Contracts between neighbours: types alone, which leave nothing behind at run time. */
const mayKnow: Readonly<Record<Part, readonly Part[]>> = {
  main: [],
  commands: [],
  device: [],
  gateway: [],
  hw: [],
  attest: ['bridge'],
  tpm2: [],
  kube: ['surface'],
  bridge: ['attest'],
  web: ['attest', 'bridge'],
  metrics: ['attest', 'kube', 'hw', 'surface'],
  tracing: [],
  surface: ['config'],
  config: ['surface'],
  'first-boot': [],
  update: ['bridge'],
  common: [],
  image: [],
  hil: [],
};

/** Packages that belong to one part; everybody else does without them. */
const packagesOf: Readonly<Record<string, readonly Part[]>> = {
  '@kubernetes/client-node': ['kube'],
  serialport: ['hw'],
  koffi: ['hw', 'common'],
  'i2c-bus': ['hw'],
  onoff: ['hw'],
  aedes: ['bridge'],
  mqtt: ['bridge'],
  '@peculiar/x509': ['attest'],
  commander: ['main', 'commands'],
  yaml: ['config', 'commands', 'bridge', 'kube', 'first-boot', 'image', 'update'],
  'openid-client': ['web'],
  'smol-toml': ['first-boot'],
  'prom-client': ['metrics'],
  '@opentelemetry/api': ['tracing'],
  '@opentelemetry/sdk-trace': ['tracing'],
  '@opentelemetry/resources': ['tracing'],
  '@opentelemetry/exporter-trace-otlp-http': ['tracing'],
};

/** Why an import is not allowed, or null. */
function fault(file: string, used: Import): string | null {
  const part = partOf(file);
  if (part === null) return 'belongs to no part: add it to the list in this test';
  if (used.file === null) {
    const name = used.specifier
      .split('/')
      .slice(0, used.specifier.startsWith('@') ? 2 : 1)
      .join('/');
    const owners = packagesOf[name];
    if (part === 'surface') return `surface does without packages: ${used.specifier}`;
    if (part === 'tpm2' && !name.startsWith('node:')) return `tpm2 does without packages: ${used.specifier}`;
    return owners && part !== 'hil' && !owners.includes(part) ? `${part} does without ${name}` : null;
  }
  if (!/\.(?:ts|tsx|mjs|json|css)$/.test(used.specifier)) return `without its extension: ${used.specifier}`;
  if (!existsSync(path.join(root, used.file))) return null;
  const target = partOf(used.file);
  if (target === part) return null;
  if (part === 'tpm2') return `tpm2 is a library that others could take, without ${used.specifier}`;
  if (target === null || target === 'common') return null;
  if (mayUse[part].includes(target)) return null;
  if (used.isTypeOnly && mayKnow[part].includes(target)) return null;
  return `${part} must not ${used.isTypeOnly ? 'know' : 'use'} ${target}: ${used.specifier}`;
}

t.test('arrows between the parts point one way', async (t) => {
  for (const file of sourceFiles('daemon', 'hil', 'image')) {
    if (file.startsWith('hil/sim/panel/page/')) continue;
    const faults = importsOf(file, textOf(file))
      .map((used) => fault(file, used))
      .filter((message) => message !== null);
    t.same(faults, [], file);
  }
});

t.test('stand-ins stay outside what they stand for', async (t) => {
  for (const file of sourceFiles('daemon')) {
    const isEntry = file === 'daemon/main.ts';
    const used = importsOf(file, textOf(file)).filter((item) => item.file?.startsWith('hil/'));
    t.same(isEntry ? [] : used, [], file);
    t.notMatch(isEntry ? '' : path.basename(file), /\bsim\b/, 'nothing is named sim here');
  }
});

t.test('the test sees what it should', async (t) => {
  const text = `import a from './a.ts';
import {
  b,
  type C,
} from "../bridge/kube/b.ts";
import type { D } from '../attest/types.ts';
export * from './e';
export type { F } from './f.ts';
import './g.ts';
// import x from './comment.ts';
const h = await import('@kubernetes/client-node');
`;
  const seen = importsOf('daemon/hw/x.ts', text);
  t.same(
    seen.map(({ specifier, isTypeOnly }) => `${isTypeOnly ? 'type ' : ''}${specifier}`).toSorted(),
    [
      './a.ts',
      '../bridge/kube/b.ts',
      'type ../attest/types.ts',
      './e',
      'type ./f.ts',
      './g.ts',
      '@kubernetes/client-node',
    ].toSorted(),
  );
  const use = (from: string, specifier: string, isTypeOnly = false) =>
    fault(from, {
      specifier,
      file: specifier.startsWith('.') ? path.normalize(path.join(path.dirname(from), specifier)) : null,
      isTypeOnly,
    });
  t.match(use('daemon/surface/x.ts', 'node:fs'), /without packages/);
  t.match(use('daemon/hw/x.ts', '@kubernetes/client-node'), /hw does without/);
  t.match(use('daemon/hw/x.ts', '../bridge/kube/types.ts', true), /must not know kube/);
  t.match(use('daemon/config/x.ts', '../attest/types.ts'), /config must not use attest/);
  t.match(use('daemon/attest/x.ts', '../bridge/registry/types.ts'), /must not use bridge/);
  t.equal(use('daemon/attest/x.ts', '../bridge/registry/types.ts', true), null);
  t.equal(use('daemon/attest/x.ts', '../config/schema.ts'), null);
  t.match(use('daemon/attest/x.ts', '../config/schema'), /without its extension/);
  t.match(use('daemon/attest/tpm2/x.ts', '../../errors.ts'), /a library that others could take/);
  t.match(use('daemon/attest/tpm2/x.ts', '../types.ts', true), /a library that others could take/);
  t.match(use('daemon/attest/tpm2/x.ts', 'zod'), /tpm2 does without packages/);
  t.equal(use('daemon/attest/tpm2/commands/x.ts', '../wire.ts'), null);
  t.equal(use('daemon/attest/tpm2/x.ts', 'node:crypto'), null);
  t.equal(use('daemon/attest/x.ts', './tpm2/tpm.ts'), null);
  t.match(use('daemon/hw/x.ts', '../attest/tpm2/tpm.ts'), /hw must not use tpm2/);
});
