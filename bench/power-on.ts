/** From power-on of a software TPM to the certificate that its surface connects with, by a gateway of its own. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { createKey, exchange } from '../daemon/attest/enrol/exchange.ts';
import type { LogPaths } from '../daemon/attest/evidence/log-sources.ts';
import { openProver, readEkSha256 } from '../daemon/attest/evidence/tpm-prover.ts';
import { swtpm, Tpm } from '../daemon/attest/tpm2/index.ts';
import type { Credentials } from '../daemon/attest/types.ts';
import { systemClock } from '../daemon/clock.ts';
import { apiVersion } from '../daemon/config/schema.ts';
import { silentLog } from '../daemon/log.ts';
import { endProcess, Surfaced } from './processes.ts';
import { accepted, ask, caseOf, rulesOf } from './proofs.ts';
import { compare } from './statistics.ts';
import { type Chip, makeChip } from './tpm-maker.ts';
import { ToolScript, toolsNeed } from './tpm-tools.ts';
import type { Bench, BenchContext, Findings, Row } from './types.ts';

/** Within what the gateway takes from one address at a time. */
const rounds = { full: 15, quick: 3 };
const surface = 'desk';
const { signal } = new AbortController();

/** Milliseconds of one start; the renewal comes after it. */
export interface PowerOn {
  /** Until the TPM answers. */
  readonly chip: number;
  /** From power-on to the certificate; of tpm2-tools, to the quote. */
  readonly proven: number;
  readonly renewal: number;
}

/** Where a gateway listens, which lets the chip in and demands its maker's certificate. */
interface Site {
  readonly port: number;
  readonly caPin: string;
}

/** Nothing listens there: the cluster is not asked for anything. */
const kubeconfig = {
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'none',
  contexts: [{ name: 'none', context: { cluster: 'none', user: 'none' } }],
  clusters: [{ name: 'none', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'none', user: { token: 'none' } }],
};

async function startGateway(context: BenchContext, { software, root }: Chip): Promise<Site> {
  const tpm = new Tpm({ transport: swtpm(software.address) });
  const ekSha256 = await readEkSha256(tpm, silentLog, signal);
  await tpm.close();
  const file = (...names: string[]): string => path.join(context.folder, ...names);
  for (const folder of ['roots', 'surfaces']) await mkdir(file(folder));
  await writeFile(file('roots', 'maker.der'), root);
  await writeFile(file('kubeconfig'), stringify(kubeconfig));
  const metadata = { name: surface };
  await writeFile(
    file('surfaces', `${surface}.yaml`),
    stringify({ apiVersion, kind: 'ControlSurface', metadata, spec: { tpm: { ekSha256 } } }),
  );
  const config = {
    apiVersion,
    kind: 'Gateway',
    stateDir: 'state',
    enrol: { listen: '127.0.0.1:0' },
    broker: { listen: '127.0.0.1:0' },
    registry: { folder: 'surfaces' },
    policy: { roots: 'roots', ekCertificate: 'required' },
    cluster: { kubeconfig: 'kubeconfig' },
  };
  await writeFile(file('gateway.yaml'), stringify(config));
  const gateway = new Surfaced('gateway', '--config', file('gateway.yaml'));
  context.defer(() => endProcess(gateway.child));
  const started = await gateway.logged('gateway started');
  return { port: Number(started.enrolPort), caPin: String(started.caPin) };
}

/** Turns it off and on; gives when, and how long it took to answer. */
async function powerCycle({ software }: Chip): Promise<{ readonly from: number; readonly chip: number }> {
  await software.cutPower();
  const from = performance.now();
  await software.start();
  return { from, chip: performance.now() - from };
}

async function startByUs({ folder }: BenchContext, chip: Chip, site: Site): Promise<PowerOn> {
  const power = await powerCycle(chip);
  const none = path.join(folder, 'no-such-log');
  const logs: LogPaths = { firmware: none, ima: none, measured: none, systemd: none };
  const tpm = new Tpm({ transport: swtpm(chip.software.address) });
  const prover = openProver({ tpm, logs, log: silentLog, random: Math.random });
  const enrol = async (current: Credentials | null): Promise<Credentials> => {
    const issued = await exchange({
      address: { host: '127.0.0.1', port: site.port },
      pin: site.caPin,
      key: await createKey(),
      proof: { kind: 'tpm', prover, firmware: 'bench', current },
      clock: systemClock,
      signal,
    });
    return issued.credentials;
  };
  try {
    const first = await enrol(null);
    const enrolledAt = performance.now();
    await enrol(first);
    return {
      chip: power.chip,
      proven: enrolledAt - power.from,
      renewal: performance.now() - enrolledAt,
    };
  } finally {
    await prover.close();
  }
}

/** The same keys and quote. The credential comes from this process within a millisecond or two: there is no gateway to be asked. */
async function startByTools(script: ToolScript, chip: Chip): Promise<PowerOn> {
  const power = await powerCycle(chip);
  await script.makeKeys();
  const claims = await script.claims();
  const asked = ask(claims, true);
  await script.receive(asked);
  await script.prove(asked);
  const provenAt = performance.now();
  const rules = rulesOf(claims, { root: chip.root, references: null, level: 0 });
  accepted(caseOf(asked, await script.evidence(asked)), rules);
  const again = ask(claims, false);
  const from = performance.now();
  await script.prove(again);
  return { chip: power.chip, proven: provenAt - power.from, renewal: performance.now() - from };
}

/** Rows of starts, round by round. */
export function powerOnRows(ours: readonly PowerOn[], theirs: readonly PowerOn[]): Row[] {
  const row = (what: string, peer: string, pick: (start: PowerOn) => number): Row => ({
    what,
    unit: 'ms',
    ...compare(ours.map(pick), theirs.map(pick)),
    peer,
    aim: null,
  });
  const peer = 'tpm2-tools in a script, to the quote: no gateway, no certificate';
  return [
    row('power-on of a software TPM to the certificate from the gateway', peer, ({ proven }) => proven),
    row('the same from when the TPM answers', peer, ({ proven, chip }) => proven - chip),
    row(
      'renewal of the certificate by fresh evidence',
      'tpm2-tools in a script, the quote alone',
      ({ renewal }) => renewal,
    ),
  ];
}

async function run(context: BenchContext): Promise<Findings> {
  const chip = await makeChip(context, 'ecc');
  const site = await startGateway(context, chip);
  const script = await ToolScript.in(path.join(context.folder, 'script'), {
    kind: chip.kind,
    socketPath: chip.software.path,
  });
  const ours: PowerOn[] = [];
  const theirs: PowerOn[] = [];
  for (let round = 0; round < (context.isQuick ? rounds.quick : rounds.full); round++) {
    ours.push(await startByUs(context, chip, site));
    theirs.push(await startByTools(script, chip));
  }
  return { rows: powerOnRows(ours, theirs), details: { ours, theirs } };
}

export const powerOn: Bench = {
  name: 'power-on',
  title: 'Power-on to certificate',
  needs: ['swtpm', toolsNeed],
  run,
};
