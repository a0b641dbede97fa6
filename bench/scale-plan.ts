/** The plan for very many surfaces, worked out from what was measured; docs/scale.md has the words around it. Pure. */
import type { SiteFigures } from './scale-rows.ts';
import { median } from './statistics.ts';
import { figure } from './table.ts';
import type { Report } from './types.ts';

const surfaces = 100_000;
/** A certificate lives so long (`enrol.certificateTtlSeconds`), and is renewed after this part of it (credential-source.ts). */
const lifeSeconds = 600;
const renewedAt = 2 / 3;
/** Every gateway says its status this often (`beatIntervalMs`), every surface how it is (`teleIntervalMs`). */
const beatSeconds = 5;
const telemetrySeconds = 30;
/** Most shards, and how often each Lease is renewed and all are looked at (docs/brokers.md). */
const shards = 64;
const leaseSeconds = 5;
const lookSeconds = 2;
/** Writes a second of one gateway (status-writer.ts). */
const statusWrites = 20;
/** Guesses, named so in the table. */
const targetsEach = 0.1;
const turnedPart = 0.01;
const objectKib = 2;

interface Line {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly how: string;
}

const detailsOf = (report: Report, name: string): Readonly<Record<string, unknown>> | null =>
  report.results.find((result) => result.name === name)?.findings?.details ?? null;

/** The largest site with this broker. */
function largest(report: Report, broker: SiteFigures['broker']): SiteFigures | null {
  const figures = (detailsOf(report, 'scale')?.figures ?? []) as readonly SiteFigures[];
  const own = figures.filter((each) => each.broker === broker).sort((a, b) => b.surfaces - a.surfaces);
  return own[0] ?? null;
}

/** The table; a sentence when a bench that it needs has not been run. */
export function planTable(report: Report): string {
  const site = largest(report, 'mosquitto');
  const rates = detailsOf(report, 'verifier')?.rates as readonly { boot: { ours: number } }[] | undefined;
  if (site === null || rates === undefined)
    return 'Not worked out yet: it needs the benches `scale` and `verifier`.';
  const { storm, knobs, idle, memoryMib } = site;
  const gateways = Math.ceil(surfaces / site.surfaces);
  const renewals = surfaces / (lifeSeconds * renewedAt);
  const perSurface = (seconds: number): number => seconds / site.surfaces;
  const verdicts = median(rates.map(({ boot }) => boot.ours));
  const targets = surfaces * targetsEach;
  const commands = surfaces * turnedPart;
  const measured = `bench \`scale\`, ${figure(site.surfaces)} surfaces on mosquitto`;
  const lines: readonly Line[] = [
    {
      what: 'gateways',
      value: gateways,
      unit: '',
      how: `as many surfaces each as were measured, ${figure(site.surfaces)}`,
    },
    {
      what: 'renewals of certificates, a second',
      value: renewals,
      unit: '/s',
      how: `each after ${figure(lifeSeconds * renewedAt)} s: two requests over HTTPS, a verdict, a certificate, a new MQTT connection`,
    },
    {
      what: 'verdicts on them, all gateways',
      value: renewals / verdicts,
      unit: 'cores',
      how: `bench \`verifier\`: ${figure(verdicts)} a second and core, with a log of the boot`,
    },
    {
      what: 'new MQTT connections for them, brokers',
      value: renewals * perSurface(storm.cpu.broker),
      unit: 'cores',
      how: `${figure(perSurface(storm.cpu.broker) * 1000)} ms a connection: ${measured}, storm`,
    },
    {
      what: 'the same, all gateways: presence, bindings, slots',
      value: renewals * perSurface(storm.cpu.gateway),
      unit: 'cores',
      how: `${figure(perSurface(storm.cpu.gateway) * 1000)} ms a surface that comes: the same`,
    },
    {
      what: 'heartbeats of gateways, a second',
      value: (surfaces * gateways) / beatSeconds,
      unit: 'messages',
      how: `every surface hears every gateway, each ${beatSeconds} s`,
    },
    {
      what: 'telemetry to gateways, a second',
      value: (surfaces * gateways) / telemetrySeconds,
      unit: 'messages',
      how: `every gateway hears every surface, each ${telemetrySeconds} s`,
    },
    {
      what: 'memory of each gateway for its surfaces',
      value: ((memoryMib.full - memoryMib.empty) / site.surfaces) * (surfaces / 1024),
      unit: 'GiB',
      how: `all are warm, so each holds all: ${measured}, with the broker`,
    },
    {
      what: 'CPU of each gateway at rest',
      value: (idle.cpu.gateway / idle.seconds) * (surfaces / site.surfaces),
      unit: 'cores',
      how: `${measured}, at rest`,
    },
    {
      what: 'commands a second',
      value: commands,
      unit: '/s',
      how: `guess: of every hundred surfaces one is turned, once a second`,
    },
    {
      what: 'CPU for them, all gateways',
      value: commands * (knobs.cpu.gateway / knobs.sent),
      unit: 'cores',
      how: `${figure((knobs.cpu.gateway / knobs.sent) * 1000)} ms a command: ${measured}, knobs`,
    },
    {
      what: 'watches of each gateway',
      value: 2 * targets,
      unit: 'connections',
      how: 'two a target; guess: ten surfaces share a target',
    },
    {
      what: 'Leases written, a second',
      value: shards / leaseSeconds,
      unit: '/s',
      how: `${shards} shards, each ${leaseSeconds} s; besides ${figure(gateways / lookSeconds)} lists a second`,
    },
    {
      what: 'status of ControlSurfaces written, a second',
      value: gateways * statusWrites,
      unit: '/s',
      how: `at most ${statusWrites} a second and gateway, by design; every surface once takes ${figure(surfaces / (gateways * statusWrites) / 60)} minutes`,
    },
    {
      what: 'ControlSurfaces in etcd',
      value: (surfaces * objectKib) / 1024,
      unit: 'MiB',
      how: `guess: ${objectKib} KiB each; etcd holds 2 GiB by default (etcd.io, System limits)`,
    },
    {
      what: 'all come at once: CPU, brokers and gateways together',
      value: surfaces * perSurface(storm.cpu.broker + storm.cpu.gateway),
      unit: 'core seconds',
      how: `${measured}, storm`,
    },
  ];
  return [
    `| for ${figure(surfaces)} surfaces | | from |`,
    '|---|---|---|',
    ...lines.map(
      ({ what, value, unit, how }) => `| ${what} | ${`${figure(value)} ${unit}`.trimEnd()} | ${how} |`,
    ),
  ].join('\n');
}
