/**
 * Plays every folder of test/hw/transcripts: bytes in and events out, frames in and bytes out, byte for byte.
 * A bug is a new folder with a transcript.yaml, without code; the README there says how to write one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { type MidiPanelConfig, panelSchema } from '../../../daemon/config/panel.ts';
import { MidiParser } from '../../../daemon/hw/midi/parser.ts';
import type { Reaction } from '../../../daemon/hw/panels/driver.ts';
import { panelDriver } from '../../../daemon/hw/panels.ts';
import type { ControlEvent } from '../../../daemon/surface/types.ts';
import { frameOf, type ShortFrame } from './frames.ts';

type Hex = string | readonly string[];
type Step =
  | { readonly enter: Hex; readonly settleMs?: number }
  | {
      readonly receive: Hex;
      readonly events?: ControlEvent[];
      readonly reply?: Hex;
      readonly redraw?: boolean;
    }
  | { readonly frame: ShortFrame; readonly sends: Hex }
  | { readonly leave: Hex };

interface Transcript {
  readonly about: string;
  readonly panel: object;
  readonly steps: readonly Step[];
}

const folder = new URL('../transcripts/', import.meta.url);
const cases = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());

for (const { name } of cases) {
  const transcript: Transcript = parse(readFileSync(new URL(`${name}/transcript.yaml`, folder), 'utf8'));
  t.test(`${name}: ${transcript.about}`, async (t) => {
    const port = { type: 'pty', path: '/nowhere' };
    const config = panelSchema.parse({ port, ...transcript.panel }) as MidiPanelConfig;
    const session = panelDriver(config).open();
    const parser = new MidiParser(1024);
    transcript.steps.forEach((step, index) => {
      const at = `step ${index + 1}`;
      if ('enter' in step) {
        t.equal(hex(session.enter), join(step.enter), `${at}: enter`);
        if (step.settleMs !== undefined) t.equal(session.settleMs, step.settleMs, `${at}: settles`);
      } else if ('frame' in step) {
        t.equal(hex(session.render(frameOf(step.frame))), join(step.sends), `${at}: frame`);
      } else if ('leave' in step) {
        t.equal(hex(session.leave()), join(step.leave), `${at}: leave`);
      } else {
        const bytes = Buffer.from(join(step.receive).replaceAll(' ', ''), 'hex');
        const reactions = parser.push(bytes).map((message) => session.receive(message));
        t.same(
          merge(reactions),
          {
            events: step.events ?? [],
            reply: join(step.reply ?? ''),
            isRedrawNeeded: step.redraw ?? false,
          },
          `${at}: receive`,
        );
      }
    });
  });
}

function merge(reactions: readonly Reaction[]) {
  return {
    events: reactions.flatMap(({ events }) => events).map(rounded),
    reply: hex(reactions.flatMap(({ reply }) => reply)),
    isRedrawNeeded: reactions.some(({ isRedrawNeeded }) => isRedrawNeeded),
  };
}

/** Positions to six places, as transcripts write them. */
function rounded(event: ControlEvent): ControlEvent {
  return event.type === 'position' ? { ...event, value: Number(event.value.toFixed(6)) } : event;
}

function hex(bytes: readonly number[]): string {
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Hex in any spacing and case, on as many lines as is readable. */
function join(lines: Hex): string {
  const digits = [lines].flat().join('').replaceAll(/\s/g, '').toLowerCase();
  return digits.match(/../g)?.join(' ') ?? '';
}
