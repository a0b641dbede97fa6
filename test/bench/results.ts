/** Results of benches for tests. */
import type { BenchResult, Row } from '../../bench/types.ts';

export const row: Row = {
  what: 'bytes in | writes out',
  unit: 'ms',
  ours: 2.345,
  peer: '`kubectl scale`',
  theirs: 1234.5,
  ratio: 0.0456,
  ratioLow: 0.04,
  ratioHigh: 0.0512,
  aim: { ratioAtMost: 0.1 },
};

const common = {
  madeAt: '2026-11-23T12:00:00.000Z',
  isQuick: false,
  machine: { CPU: '2 x some', Node: '20.20.0' },
  tookSeconds: 1,
};

export const measured = (name: string, rows: readonly Row[]): BenchResult => ({
  ...common,
  name,
  title: name,
  findings: { rows, details: {} },
  problem: null,
});

export const failed = (name: string, problem: string): BenchResult => ({
  ...common,
  name,
  title: name,
  findings: null,
  problem,
});
