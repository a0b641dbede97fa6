/** The part of a Device file that describes the panel; every field is described here and nowhere else. */
import { z } from 'zod';

export const controlName = z
  .string()
  .regex(/^[a-z0-9-]{1,32}$/, 'lower-case letters, digits and dashes, at most 32')
  .describe('Name of a control on the panel, e.g. `fader1`.');

const midiEncoding = z
  .enum(['twos-complement', 'offset-binary', 'signed-bit', 'signed-bit-2'])
  .describe('How relative turns are coded: signed-bit-2 for Mackie and X-Touch, twos-complement for Push.');
const byte7 = z.int().min(0).max(127);
const channel = z.int().min(1).max(16).default(1).describe('MIDI channel, 1 to 16.');

/** One control of a generic MIDI map. */
export const midiControlSchema = z.discriminatedUnion('type', [
  z.strictObject({
    name: controlName,
    type: z.literal('fader').describe('An absolute position on a CC.'),
    channel,
    cc: byte7.describe('CC of the position; its high 7 bits with ccLsb.'),
    ccLsb: byte7.optional().describe('CC with the low 7 bits, for 14-bit faders.'),
  }),
  z.strictObject({
    name: controlName,
    type: z.literal('pitch-bend-fader').describe('An absolute position on pitch bend.'),
    channel,
    touchNote: byte7.optional().describe('Note that says whether it is touched.'),
    hasMotor: z.boolean().default(false).describe('It follows pitch bend sent to it.'),
  }),
  z.strictObject({
    name: controlName,
    type: z.literal('encoder').describe('Relative turns on a CC.'),
    channel,
    cc: byte7.describe('CC of the turns.'),
    encoding: midiEncoding,
    pushNote: byte7.optional().describe('Note of the push button under it.'),
    ringCc: byte7.optional().describe('CC that sets the ring of lights around it.'),
  }),
  z.strictObject({
    name: controlName,
    type: z.literal('button').describe('A button on a note or a CC.'),
    channel,
    note: byte7.optional().describe('Note of the button.'),
    cc: byte7.optional().describe('CC of the button, when it has no note.'),
    hasLight: z.boolean().default(false).describe('A light in it is set by the same message.'),
  }),
]);

const port = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('raw-midi').describe('An ALSA raw MIDI device.'),
      path: z
        .string()
        .min(1)
        .describe('ALSA raw device: a file such as /dev/snd/midiC1D1, or a name such as hw:1,0,1.'),
    }),
    z.strictObject({
      type: z.literal('serial').describe('A serial port.'),
      path: z.string().min(1).describe('The port, e.g. /dev/serial0.'),
      baudRate: z
        .int()
        .min(300)
        .max(4_000_000)
        .default(31_250)
        .describe('Speed, baud; MIDI over a DIN socket has 31250.'),
    }),
    z.strictObject({
      type: z.literal('pty').describe('A pseudo-terminal.'),
      path: z.string().min(1).describe('Pseudo-terminal, for rigs and bridges.'),
    }),
  ])
  .describe('Where the panel is plugged in.');

const roles = z
  .strictObject({
    arm: controlName.optional().describe('Control that is held to confirm what is risky.'),
    undo: controlName.optional().describe('Control that takes the last command back.'),
    bankNext: controlName.optional().describe('Control that shows the next bank.'),
    bankPrevious: controlName.optional().describe('Control that shows the previous bank.'),
    lock: controlName.optional().describe('Control whose long press locks and unlocks.'),
  })
  .optional()
  .describe('Controls that act on the whole surface; the preset has its own.');

const brightness = z.number().min(0.05).max(1);
const timeOfDay = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'a time of day such as 22:00');

/** Fields that every panel has. */
const common = {
  roles,
  brightness: brightness.default(0.6).describe('Brightness of the lights, 0.05 to 1; never exceeded.'),
  night: z
    .strictObject({
      from: timeOfDay.describe('Local time at which the night begins.'),
      to: timeOfDay.describe('Local time at which it ends.'),
      brightness: z.number().min(0).max(1).default(0.1).describe('Brightness at night; 0 is dark.'),
    })
    .optional()
    .describe(
      'Dims the lights at night; left out: no night. A clock that is not set knows no night. Not on MIDI panels whose lights are only on or off.',
    ),
};

/** Header line of the Pi, by its BCM number. */
const headerLine = z.int().min(0).max(63);

/** What every entry of `parts` has; the part's own fields are in the schema of its driver. */
export const partBaseSchema = z.strictObject({
  part: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, 'the name of a part such as ads1115')
    .describe('Which part this is.'),
  bus: z.int().min(0).max(255).default(1).describe('I2C bus, as in /dev/i2c-1; 1 is the one on the header.'),
  address: z
    .int()
    .min(0x03)
    .max(0x77)
    .optional()
    .describe('7-bit I2C address, e.g. 0x48; left out: the usual one of the part.'),
  interrupt: headerLine
    .optional()
    .describe(
      'GPIO line (BCM number) that the interrupt output of the part is wired to; parts whose outputs are open drain may share one. Left out: it is polled.',
    ),
  at: z
    .tuple([z.int().min(0).max(255), z.int().min(0).max(255)])
    .default([0, 0])
    .describe('Column and row of its top left light in the matrix of the panel.'),
  rotate: z
    .union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)])
    .default(0)
    .describe('How far its lights are mounted turned clockwise, degrees.'),
});

/** Presets of panels on a MIDI port. */
export const midiPresets = [
  'launchpad-mini-mk3',
  'launchpad-x',
  'nanokontrol2',
  'mackie-control',
  'x-touch-mini',
  'generic-midi',
] as const;

/** Presets of panels that are made of parts; `parts` has none but those that it lists. */
export const partPresets = ['parts', 'sense-hat', 'neotrellis'] as const;

/** The panel: a MIDI device, or parts on the Pi's own buses and lines. */
export const panelSchema = z.discriminatedUnion('preset', [
  z
    .strictObject({
      preset: z.enum(midiPresets).describe('Which panel this is: a MIDI device.'),
      port: port,
      controls: z.array(midiControlSchema).max(64).optional().describe('The map of a generic-midi panel.'),
      ...common,
    })
    .meta({ title: 'midi' }),
  z
    .strictObject({
      preset: z.enum(partPresets).describe('Which panel this is: parts on the buses and lines of the Pi.'),
      parts: z
        .array(z.looseObject(partBaseSchema.shape))
        .min(1)
        .max(32)
        .optional()
        .describe('The parts of the panel; left out: those of the preset.'),
      gpio: z
        .strictObject({
          via: z
            .enum(['character-device', 'sysfs'])
            .default('character-device')
            .describe(
              'Kernel interface of GPIO lines; sysfs only where nothing else is: it loses edges silently.',
            ),
          chip: z
            .string()
            .min(1)
            .max(64)
            .optional()
            .describe('Label, name or path of the GPIO chip; left out: the header of the Pi.'),
        })
        .prefault({})
        .describe('GPIO lines of the panel.'),
      chords: z
        .array(
          z.strictObject({
            name: controlName.describe('Name of the button that the chord is.'),
            of: z.array(controlName).min(2).max(4).describe('Buttons that are pressed together.'),
          }),
        )
        .max(16)
        .default([])
        .describe('Buttons that count as one more button when they are pressed together.'),
      calibration: z
        .string()
        .min(1)
        .default('calibration.yaml')
        .describe('File with the ends of the faders, as `surfaced calibrate` writes it; it may be missing.'),
      ...common,
    })
    .meta({ title: 'parts' }),
]);

export type PanelConfig = Readonly<z.infer<typeof panelSchema>>;
/** A panel on a MIDI port. */
export type MidiPanelConfig = Extract<PanelConfig, { readonly port: unknown }>;
/** A panel made of parts. */
export type PartsPanelConfig = Exclude<PanelConfig, MidiPanelConfig>;
/** One entry of `parts` with the fields of every part; its own fields are checked by its driver. */
export type PartEntry = Readonly<z.infer<typeof partBaseSchema>>;
export type MidiControl = Readonly<z.infer<typeof midiControlSchema>>;
