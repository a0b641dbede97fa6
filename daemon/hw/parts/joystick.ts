/**
 * A joystick as an encoder: up is one more, down is one less. A binding needs an encoder, a fader or pads; buttons alone
 * could not set a number. Pure.
 */
import type { ControlEvent, ControlSpec } from '../../surface/types.ts';

/** Which buttons make which encoder. */
export interface Joystick {
  /** Name of the encoder that it is. */
  readonly name: string;
  /** Button whose press is one more. */
  readonly up: string;
  /** Button whose press is one less. */
  readonly down: string;
}

const isButton = (controls: readonly ControlSpec[], name: string): boolean =>
  controls.some((control) => control.name === name && control.kind === 'button');

/** Whether the controls have both buttons, and no control of its name. */
export function fitsJoystick({ name, up, down }: Joystick, controls: readonly ControlSpec[]): boolean {
  return (
    isButton(controls, up) && isButton(controls, down) && !controls.some((control) => control.name === name)
  );
}

/** The name under which a control is known outside: that of the joystick for its two buttons. */
export function nameOutside(joystick: Joystick | null, control: string): string {
  if (joystick === null) return control;
  return control === joystick.up || control === joystick.down ? joystick.name : control;
}

/** The controls with the joystick in the place of its buttons. */
export function withJoystick(
  joystick: Joystick | null,
  controls: readonly ControlSpec[],
): readonly ControlSpec[] {
  if (joystick === null) return controls;
  return controls.flatMap((control): ControlSpec[] => {
    if (control.name === joystick.up) return [{ name: joystick.name, kind: 'encoder', pulsesPerDetent: 1 }];
    return control.name === joystick.down ? [] : [control];
  });
}

/** The event as the panel reports it; null: nothing is reported. */
export function throughJoystick(joystick: Joystick | null, event: ControlEvent): ControlEvent | null {
  if (joystick === null) return event;
  if ('control' in event) return reading(joystick, event);
  const { controls } = event;
  if (controls === null) return event;
  return { ...event, controls: [...new Set(controls.map((name) => nameOutside(joystick, name)))] };
}

function reading(
  joystick: Joystick,
  event: Extract<ControlEvent, { readonly control: string }>,
): ControlEvent | null {
  const name = nameOutside(joystick, event.control);
  if (name === event.control) return event;
  if (event.type !== 'press') return null;
  return { type: 'turn', control: name, pulses: event.control === joystick.up ? 1 : -1 };
}
