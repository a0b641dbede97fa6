/** `surfaced calibrate`: finds the ends of the faders while somebody moves them, and keeps them in a file. */
import type { Readable } from 'node:stream';
import {
  assertWritable,
  type Calibration,
  readCalibration,
  writeCalibration,
} from '../config/calibration.ts';
import { SurfacedError } from '../errors.ts';
import { type CalibrationResult, Calibrator, type FaderProgress, visitsWanted } from '../hw/calibration.ts';
import type { RawInput } from '../hw/chips/driver.ts';
import { partDrivers } from '../hw/chips/table.ts';
import { isMidi } from '../hw/panels.ts';
import { createPartsPanel } from '../hw/parts/create.ts';
import type { Log, LogLevel } from '../log.ts';
import type { Millis } from '../surface/types.ts';
import type { Output } from './cli.ts';
import { loadDevice } from './load-device.ts';

/** The picture in a terminal is drawn again after so long at the earliest, milliseconds. */
const redrawMs = 100;
/** Characters of the bar that shows a fader. */
const barLength = 30;

/** Takes one level, 0..1 of the full scale, as the converter gave it. */
export type OnLevel = (control: string, value: number, at: Millis) => void;

/** Opens the parts of the panel and reports every level of its faders, until what it resolves to is called. */
export type WatchLevels = (onLevel: OnLevel) => Promise<() => Promise<void>>;

export interface CalibrateOptions {
  /** The file of the calibration; it may be missing. */
  readonly file: string;
  /** All faders of the panel. */
  readonly faders: readonly string[];
  /** Faders to calibrate; empty: all. */
  readonly controls: readonly string[];
  readonly output: Output;
}

/** What the command talks to. */
export interface CalibrateIo {
  readonly watchLevels: WatchLevels;
  /** A line from here ends it, e.g. stdin; that it ends does not. */
  readonly input: Readable;
  /** Where progress is shown, e.g. stderr. */
  readonly screen: { write(text: string): unknown; readonly isTTY?: boolean | undefined };
  /** Gives up without writing, e.g. on SIGINT. */
  readonly signal: AbortSignal;
}

/** What to print, and whether the file was written. */
export interface CalibrateResult {
  readonly text: string;
  readonly isWritten: boolean;
}

/** What the command line gives. */
export interface RunCalibrateOptions extends Pick<CalibrateOptions, 'controls' | 'output'> {
  /** Device file. */
  readonly config: string;
}

/**
 * Opens the panel of a Device file and calibrates its faders; the file is the one that the panel reads.
 * @throws SurfacedError E_CFG_READ, E_CFG_INVALID, E_USAGE, E_HW_CALIBRATION
 */
export async function runCalibrate(
  { config: deviceFile, controls, output }: RunCalibrateOptions,
  io: Omit<CalibrateIo, 'watchLevels'>,
  logFor: (level: LogLevel) => Promise<Log>,
): Promise<CalibrateResult> {
  const { panel: config } = await loadDevice(deviceFile);
  if (isMidi(config))
    throw new SurfacedError(
      'E_USAGE',
      `${deviceFile}: ${config.preset} is on a MIDI port: its faders say where they are and need no calibration`,
    );
  const log = await logFor('warn');
  let onLevel: OnLevel = () => {};
  const onInputs = (inputs: readonly RawInput[]): void => {
    for (const input of inputs) if (input.type === 'level') onLevel(input.control, input.value, input.at);
  };
  const panel = await createPartsPanel({ config, drivers: partDrivers, log, random: Math.random, onInputs });
  const faders = panel.spec.controls.filter(({ kind }) => kind === 'fader').map(({ name }) => name);
  const watchLevels: WatchLevels = async (take) => {
    onLevel = take;
    await panel.start(io.signal, () => {});
    return () => panel.stop();
  };
  return calibrate({ file: config.calibration, faders, controls, output }, { ...io, watchLevels });
}

/**
 * Asks for every fader to be moved from end to end, twice, and writes the file when all have been, or when a line is
 * entered. Faders that were not moved far enough keep what they had; so do those that are not on the panel now.
 * @throws SurfacedError E_USAGE, E_HW_CALIBRATION, or why the panel cannot be opened
 */
export async function calibrate(options: CalibrateOptions, io: CalibrateIo): Promise<CalibrateResult> {
  const { file, output } = options;
  const controls = chosen(options);
  const before = await readCalibration(file);
  // Before anybody moves a fader for nothing.
  await assertWritable(file);
  const calibrator = new Calibrator(controls);
  io.screen.write(
    `Move ${controls.length === 1 ? 'the fader' : 'every fader'} from one end to the other and back, ${visitsWanted} times, and wait a moment at each end.\nEnter ends it early, Ctrl-C leaves everything as it was.\n\n`,
  );
  const isMeant = await watch(calibrator, io);
  const { calibrated, rejected } = isMeant ? calibrator.result(before) : nothing;
  const isWritten = calibrated.size > 0;
  if (isWritten) await writeCalibration(file, new Map([...before, ...calibrated]));
  const result = { file, isWritten, calibrated, rejected };
  const text = output === 'json' ? asJson(result) : asText(result);
  return { text, isWritten };
}

const nothing: CalibrationResult = { calibrated: new Map(), rejected: [] };

function chosen({ faders, controls }: CalibrateOptions): readonly string[] {
  if (faders.length === 0)
    throw new SurfacedError('E_USAGE', 'this panel has no faders whose ends could be calibrated');
  const unknown = controls.filter((name) => !faders.includes(name));
  if (unknown.length === 0) return controls.length === 0 ? faders : [...new Set(controls)];
  throw new SurfacedError(
    'E_USAGE',
    `control: ${unknown.join(', ')}: no such fader; this panel has ${faders.join(', ')}`,
  );
}

/** Resolves when all is found or a line was entered; to false when it was given up. */
async function watch(
  calibrator: Calibrator,
  { watchLevels, input, screen, signal }: CalibrateIo,
): Promise<boolean> {
  if (signal.aborted) return false;
  const view = screen.isTTY === true ? new Picture(screen) : new Lines(screen);
  let end: (isMeant: boolean) => void = () => {};
  const ended = new Promise<boolean>((resolve) => {
    end = resolve;
  });
  const giveUp = (): void => end(false);
  const onInput = (chunk: Buffer | string): void => {
    if (chunk.toString().includes('\n')) end(true);
  };
  signal.addEventListener('abort', giveUp, { once: true });
  input.on('data', onInput);
  try {
    const stop = await watchLevels((control, value, at) => {
      calibrator.push(control, value);
      view.show(calibrator.progress(), at);
      if (calibrator.isDone) end(true);
    });
    const isMeant = await ended.finally(stop);
    view.show(calibrator.progress(), Number.POSITIVE_INFINITY);
    return isMeant;
  } finally {
    signal.removeEventListener('abort', giveUp);
    input.off('data', onInput);
    // What is read from holds the process.
    input.pause();
  }
}

/** Progress as one line a fader that changes in place. */
class Picture {
  readonly #screen: CalibrateIo['screen'];
  #lines = 0;
  #nextAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(screen: CalibrateIo['screen']) {
    this.#screen = screen;
  }

  show(progress: readonly FaderProgress[], at: Millis): void {
    if (at < this.#nextAt) return;
    this.#nextAt = at + redrawMs;
    const width = Math.max(...progress.map(({ control }) => control.length));
    const lines = progress.map(
      (fader) => `${fader.control.padEnd(width)}  ${bar(fader)}  ${ends(fader)}  ${state(fader)}\u001b[K\n`,
    );
    // Back to the first line of the picture: CSI n A; and from the last character to the end of the line: CSI K.
    this.#screen.write(`${this.#lines > 0 ? `\u001b[${this.#lines}A` : ''}${lines.join('')}`);
    this.#lines = lines.length;
  }
}

/** Progress as a line for each step of a fader, where nothing can change in place. */
class Lines {
  readonly #screen: CalibrateIo['screen'];
  readonly #shown = new Map<string, string>();

  constructor(screen: CalibrateIo['screen']) {
    this.#screen = screen;
  }

  show(progress: readonly FaderProgress[], _at: Millis): void {
    for (const fader of progress) {
      const text = state(fader);
      if (this.#shown.get(fader.control) === text) continue;
      this.#shown.set(fader.control, text);
      this.#screen.write(`${fader.control}  ${ends(fader)}  ${text}\n`);
    }
  }
}

function bar({ level, lowest, highest }: FaderProgress): string {
  const placeOf = (value: number): number => Math.min(barLength - 1, Math.floor(value * barLength));
  const cells = Array.from({ length: barLength }, (_, place) => {
    if (level !== null && place === placeOf(level)) return '#';
    const isSeen =
      lowest !== null && highest !== null && place >= placeOf(lowest) && place <= placeOf(highest);
    return isSeen ? '=' : '.';
  });
  return `[${cells.join('')}]`;
}

const part = (value: number | null): string => (value === null ? ' -   ' : value.toFixed(3));
const ends = ({ lowest, highest }: FaderProgress): string => `low ${part(lowest)}  high ${part(highest)}`;

function state({ level, isDone, lowVisits, highVisits }: FaderProgress): string {
  if (level === null) return 'no reading yet';
  return isDone
    ? 'done'
    : `low end ${lowVisits} of ${visitsWanted}, high end ${highVisits} of ${visitsWanted}`;
}

interface Outcome extends CalibrationResult {
  readonly file: string;
  readonly isWritten: boolean;
}

function asJson({ file, isWritten, calibrated, rejected }: Outcome): string {
  return `${JSON.stringify({ file, isWritten, calibrated: entries(calibrated), rejected }, null, 2)}\n`;
}

const entries = (calibration: Calibration) => Object.fromEntries(calibration);

function asText({ file, isWritten, calibrated, rejected }: Outcome): string {
  const lines = [
    ...[...calibrated].map(([control, { low, high }]) => `${control}: low ${low}, high ${high}`),
    ...rejected.map(({ control, reason }) => `${control}: left as it was: ${reason}`),
    isWritten
      ? `Written to ${file}; a running device reads it when it is started again.`
      : 'Nothing was written.',
  ];
  return `${lines.join('\n')}\n`;
}
