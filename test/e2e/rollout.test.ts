/** A fleet as processes: a gateway, two surfaces from images; one update succeeds, one falls back and stops the rollout. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { parse, stringify } from 'yaml';
import { verifyAudit } from '../../daemon/attest/audit/verify.ts';
import { openTokens } from '../../daemon/attest/enrol/tokens.ts';
import { systemClock } from '../../daemon/clock.ts';
import { runAuditShow } from '../../daemon/commands/audit-show.ts';
import { makePolicyKey } from '../../daemon/commands/policy-sign.ts';
import { addBundle, listUpdates, showReferences } from '../../daemon/commands/updates-bundles.ts';
import {
  abortRollout,
  pauseRollout,
  resumeRollout,
  roll,
  showRollouts,
} from '../../daemon/commands/updates-rollouts.ts';
import { makeBundle, makeBundleSigner, noOpenssl, referencesOf } from '../bridge/rollout/bundles.ts';
import { nobodysKubeconfig } from '../nobodys-cluster.ts';
import { Surfaced, surfaced, writeGateway } from './processes.ts';
import { pemOf, UpdatingMachine } from './updating-machine.ts';

const apiVersion = 'surfaced.dev/v1alpha1';
const names = ['bench', 'desk', 'shelf'];

interface Shown {
  readonly state: string;
  readonly surfaces: readonly { readonly surface: string; readonly phase: string; readonly detail: string }[];
}

t.test(
  'a rollout asks one after the other, policy first, and stops where an update falls back',
  {
    skip: noOpenssl,
  },
  async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-roll-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const at = (name: string): string => path.join(folder, name);
    await writeFile(at('kubeconfig'), nobodysKubeconfig);
    const files = await writeGateway(folder, at('kubeconfig'), 'bench', []);
    for (const name of names) {
      const spec = { policy: 'surfaced-image', bindings: [] };
      const surface = { apiVersion, kind: 'ControlSurface', metadata: { name }, spec };
      await writeFile(at(`surfaces/${name}.yaml`), stringify(surface));
    }
    for (const name of ['updates', 'references']) await mkdir(at(name));
    const signer = makeBundleSigner(at('keys'));
    await makePolicyKey({ out: at('policy.key'), output: 'text' });
    const config = parse(await readFile(files.config, 'utf8')) as { policy: object };
    await writeFile(
      files.config,
      stringify({
        ...config,
        policy: { ...config.policy, references: 'references', signers: ['policy.key.pub'] },
        updates: { folder: 'updates', trustedSigners: signer.authority },
      }),
    );
    const cli = (...args: readonly string[]): Promise<string> =>
      surfaced('updates', ...args, '--config', files.config);
    // Commands that are refused or only look are called here: each process takes its second.
    const which = { gatewayConfigPath: files.config, name: 'spring', output: 'json' } as const;
    const add = (bundle: string, key: string | null): Promise<string> =>
      addBundle({ ...which, bundle, key, signal: new AbortController().signal });
    const rollTo = (surfaces: readonly string[] | null): Promise<string> =>
      roll({
        ...which,
        version: '1.1.0',
        surfaces,
        isForAll: surfaces === null,
        atOnce: 1,
        stopAfterFailures: 1,
        isPaused: false,
      });

    let gateway = new Surfaced('gateway', ['gateway', '--config', files.config]);
    t.teardown(() => gateway.end('SIGKILL'));
    const { caPin } = await gateway.logged('gateway started');
    const tokens = openTokens({ folder: at('state/tokens'), clock: systemClock });
    const start = async (name: string, isGood: boolean): Promise<UpdatingMachine> => {
      const { token } = await tokens.create({ surface: name, ttlMs: 3_600_000, uses: 9 });
      const deviceFile = at(`${name}-device.yaml`);
      await writeFile(
        deviceFile,
        stringify({
          apiVersion,
          kind: 'Device',
          gateway: { url: `https://localhost:${files.enrolPort}`, caPin },
          identity: { token },
          panel: { preset: 'nanokontrol2', port: { type: 'pty', path: at('no-panel') } },
        }),
      );
      const machine = new UpdatingMachine({
        name,
        deviceFile,
        folder: at(`run-${name}`),
        trusted: pemOf(signer.authority),
        isGood,
      });
      t.teardown(() => machine.end());
      return machine;
    };
    const [bench, desk] = await Promise.all([start('bench', true), start('desk', false)]);
    await Promise.all([bench.device?.logged('connected'), desk.device?.logged('connected')]);

    const source = at('surfaced-1.1.0.raucb');
    makeBundle(source, signer, { version: '1.1.0' });
    const stranger = at('stranger.raucb');
    makeBundle(stranger, makeBundleSigner(at('others'), 'Mallory'), { version: '1.1.0' });
    await t.rejects(rollTo(null), { code: 'E_ROLLOUT', message: /no such bundle/ });
    await t.rejects(add(stranger, at('policy.key')), { code: 'E_UPDATE_SIGNER' });
    await t.rejects(add(source, null), {
      code: 'E_ROLLOUT',
      message: /of 1\.1\.0 is not in force: give --key/,
    });
    t.equal(await showReferences(files.config, source), referencesOf('1.1.0'));
    // A bundle that got into the folder some other way: it is offered, and policy keeps everybody from it.
    await writeFile(at('updates/1.1.0.raucb'), await readFile(source));
    await t.rejects(rollTo(null), {
      message: /locked out[\s\S]*bench: its policy "surfaced-image" has no set in force that takes 1\.1\.0/,
    });
    await rm(at('updates/1.1.0.raucb'));

    const added = await cli('add', source, '--key', at('policy.key'));
    t.match(added, /Reference set: +surfaced-image version 1, .*surfaced-image-1\.1\.0\.yaml/);
    t.notMatch(added, /Not for/);
    t.match(await listUpdates(files.config, 'text'), /^1\.1\.0 .*CN=Release +-$/m);
    await t.rejects(rollTo(['attic']), { code: 'E_ROLLOUT', message: /not in .*attic/ });
    t.match(
      await cli('roll', '1.1.0', '--surfaces', 'bench,desk', 'shelf', '--name', 'spring'),
      /bench, desk, shelf, 1 at once, stops after 1 failed/,
    );

    t.match(await gateway.logged('surface is asked to update'), {
      surface: 'bench',
      version: '1.1.0',
      from: '1.0.0',
    });
    t.match(await gateway.logged('update done'), { surface: 'bench' });
    t.equal(bench.version, '1.1.0');
    t.ok(bench.fetched > 2, `${bench.fetched} ranges were fetched from the gateway`);
    t.same(
      bench.requests.map(({ action }) => action),
      ['install', 'restart'],
    );
    t.match(await gateway.logged('update failed'), {
      surface: 'desk',
      detail: 'left again: it did not come up',
    });
    await gateway.logged('rollout stops because of failures; nobody else is asked');
    t.equal(desk.version, '1.0.0');

    const shelf = await start('shelf', true);
    await shelf.device?.logged('connected');
    await gateway.end('SIGKILL');
    gateway = new Surfaced('gateway', ['gateway', '--config', files.config]);
    await gateway.logged('gateway started');
    for (const surface of names) await gateway.loggedFrom(0, 'surface is online', { surface });
    const show = async (): Promise<Shown> => (JSON.parse(await showRollouts(which)) as Shown[])[0]!;
    const shown = await show();
    t.match(shown.state, /^stopped by failures: 1 waiting, 1 done, 1 failed/);
    t.same(
      shown.surfaces.map(({ surface, phase }) => `${surface} ${phase}`),
      ['bench done', 'desk failed', 'shelf waiting'],
      'also after the gateway was killed',
    );
    t.same(shelf.requests, [], 'nobody else was asked');

    await pauseRollout(which);
    await resumeRollout({ ...which, stopAfterFailures: 2 });
    t.match(await gateway.loggedFrom(0, 'update done', { surface: 'shelf' }), { version: '1.1.0' });
    t.equal(shelf.version, '1.1.0');
    t.match((await show()).state, /^ended: 2 done, 1 failed/);
    t.equal(desk.requests.length, 2, 'the one that failed was not asked again');
    await abortRollout(which);
    await t.rejects(showRollouts(which), { message: /no rollout "spring"/ });

    await gateway.end('SIGTERM');
    const audit = path.join(folder, 'state', 'audit');
    const filter = { path: audit, kind: 'update', surface: null, last: 100 };
    const records = JSON.parse(await runAuditShow(filter, 'json')) as {
      readonly surface: string;
      readonly outcome: string;
    }[];
    t.same(
      records.map(({ surface, outcome }) => `${surface} ${outcome}`),
      ['bench asked', 'bench done', 'desk asked', 'desk failed', 'shelf asked', 'shelf done'],
    );
    const known = { path: audit, startHash: null, publishedHash: null, signer: null };
    t.match(await verifyAudit(known), { isSound: true });
  },
);
