/** Dashboard and alerts: they name metrics that there are, they lead to words for whoever is on call, and promtool takes them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { stringify } from 'yaml';
import type { LinkStatus } from '../../daemon/bridge/link/link.ts';
import { createDeviceMeter } from '../../daemon/metrics/device-metrics.ts';
import { gatewayTable } from '../../daemon/metrics/table.ts';
import type { Panel } from '../../daemon/surface/types.ts';
import { Whole } from '../metrics/whole.ts';
import { root, textOf } from '../structure/source-files.ts';
import { deployFolder, objectOf, objectsIn, objectsOf, skip } from './manifests.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const prometheusRule = objectOf(objectsOf('monitoring/rules.yaml'), 'PrometheusRule', 'surfaced-gateway');
const groups = (prometheusRule.spec as { groups: { rules: Rule[] }[] }).groups;
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(textOf('deploy/monitoring/dashboard.json')) as {
  panels: { title: string; targets?: { expr: string }[] }[];
};
const promtool = process.env.PROMTOOL ?? 'promtool';
const noPromtool: false | string =
  spawnSync(promtool, ['--version']).status === 0
    ? false
    : 'promtool is not installed (Debian: apt-get install prometheus; or name it in PROMTOOL)';

/** Metrics of ours in a query, without what Prometheus adds to the name of a histogram. */
const metricsIn = (query: string): string[] =>
  [...query.matchAll(/\bsurfaced_[a-z0-9_]+/g)].map(([name]) =>
    Object.hasOwn(gatewayTable, name) ? name : name.replace(/_(?:bucket|sum|count)$/, ''),
  );

/** Labels that a query puts on a metric of ours. */
const selectorsIn = (query: string): (readonly [metric: string, label: string])[] =>
  [...query.matchAll(/\b(surfaced_[a-z0-9_]+)\{([^}]*)\}/g)].flatMap(([, metric = '', inner = '']) =>
    [...inner.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(
      ([, label = '']) => [metricsIn(metric)[0] ?? '', label] as const,
    ),
  );

/** What the scraper adds. */
const scraped: ReadonlySet<string> = new Set(['namespace', 'pod']);

t.test('every metric and label that dashboard and alerts name is in the table', async (t) => {
  const queries = [
    ...dashboard.panels.flatMap(({ title, targets }) =>
      (targets ?? []).map(({ expr }) => [title, expr] as const),
    ),
    ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ];
  t.ok(queries.length > 30);
  for (const [what, query] of queries) {
    t.same(
      metricsIn(query).filter((name) => !Object.hasOwn(gatewayTable, name)),
      [],
      what,
    );
    const labels: Readonly<Record<string, { readonly labels: object }>> = gatewayTable;
    for (const [metric, label] of selectorsIn(query))
      t.ok(
        scraped.has(label) || Object.hasOwn(labels[metric]?.labels ?? {}, label),
        `${what}: ${metric}{${label}}`,
      );
  }
});

t.test('every alert says how bad it is and leads to its section for whoever is on call', async (t) => {
  const guide = textOf('docs/operate.md');
  const anchors = [...guide.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const { alert, labels, annotations } of rules) {
    t.match(alert, /^Surfaced[A-Z]/);
    t.match(labels.severity, /^(?:critical|warning)$/, `${alert}: severity`);
    const [, anchor = ''] = /^docs\/operate\.md#(.+)$/.exec(annotations.runbook_url ?? '') ?? [];
    t.ok(anchors.includes(anchor), `${alert}: ${annotations.runbook_url}`);
    t.match(guide, alert, `${alert} is named in the guide`);
    t.ok(annotations.summary && annotations.description, `${alert}: words`);
  }
});

t.test('the component goes into an overlay', { skip }, async (t) => {
  const folder = t.testdir({
    overlay: {
      'kustomization.yaml': stringify({
        resources: [path.relative(path.join(t.testdirName, 'overlay'), path.join(deployFolder, 'base'))],
        components: [
          path.relative(path.join(t.testdirName, 'overlay'), path.join(deployFolder, 'monitoring')),
        ],
      }),
    },
  });
  const text = execFileSync('kubectl', ['kustomize', path.join(folder, 'overlay')], { encoding: 'utf8' });
  const objects = objectsIn(text);
  const monitor = objectOf(objects, 'PodMonitor', 'surfaced-gateway');
  const deployment = objectOf(objects, 'Deployment', 'surfaced-gateway');
  const { matchLabels } = monitor.spec.selector;
  t.match(deployment.spec.template.metadata.labels, matchLabels, 'selects the Pods of the gateway');
  const ports = deployment.spec.template.spec.containers[0].ports.map(({ name }: { name: string }) => name);
  t.ok(ports.includes(monitor.spec.podMetricsEndpoints[0].port), 'by a port that they have');
  const map = objectOf(objects, 'ConfigMap', 'surfaced-dashboard');
  t.equal(map.metadata.labels?.grafana_dashboard, '1');
  t.same(JSON.parse(map.data['surfaced.json']), dashboard);
});

t.test('promtool takes the rules, and the alerts come when they should', { skip: noPromtool }, async (t) => {
  const folder = t.testdir({});
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'rules.yaml'), stringify({ groups }));
  const cases = path.join(folder, 'cases.yaml');
  copyFileSync(path.join(root, 'test/deploy/monitoring/rules.test.yaml'), cases);
  const check = spawnSync(promtool, ['check', 'rules', '--lint-fatal', path.join(folder, 'rules.yaml')], {
    encoding: 'utf8',
  });
  t.equal(check.status, 0, check.stdout + check.stderr);
  const tested = spawnSync(promtool, ['test', 'rules', cases], { encoding: 'utf8' });
  t.equal(tested.status, 0, tested.stdout + tested.stderr);
  const text = readFileSync(cases, 'utf8');
  for (const { alert } of rules) t.match(text, alert, `${alert} is tested`);
});

t.test('promtool has nothing to say of the metrics themselves', { skip: noPromtool }, async (t) => {
  const whole = await Whole.start(t, {});
  const surface = await whole.surface(t);
  t.match(await surface.ask(4), { phase: 'converged' });
  const panel = { state: { isOpen: true, problem: null } } as Panel;
  const link = { state: 'online', counters: { connects: 1 }, commandsUnderWay: 0 } as unknown as LinkStatus;
  const device = createDeviceMeter({ counts: () => ({ frames: 1, link }) }, panel);
  for (const text of [(await whole.get('/metrics')).text, await device.text()]) {
    const ours = text
      .split('\n')
      .filter((line) => /^(?:# (?:HELP|TYPE) )?surfaced_/.test(line))
      .join('\n');
    const check = spawnSync(promtool, ['check', 'metrics'], { input: `${ours}\n`, encoding: 'utf8' });
    t.equal(check.status, 0, check.stdout + check.stderr);
    t.equal(check.stdout + check.stderr, '', 'no advice');
  }
});
