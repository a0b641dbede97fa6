/** What a part should show, cut out of a frame. Pure. */
import type { ControlFeedback, Frame } from '../../surface/types.ts';
import type { PartPicture } from '../chips/driver.ts';
import type { ComposedPart } from './compose.ts';
import { cut } from './regions.ts';

/** Cuts a part's share out of a frame; lights that the frame does not have are dark. */
export function pictureOf(part: ComposedPart, frame: Frame, brightness: number): PartPicture {
  const own = part.spec.controls.flatMap(({ name }): [string, ControlFeedback][] => {
    const feedback = frame.controls.get(name);
    return feedback === undefined ? [] : [[name, feedback]];
  });
  const rgb = part.lights === null ? null : cut(frame.matrix?.rgb ?? new Uint8Array(0), part.lights);
  return { rgb, controls: new Map(own), brightness };
}

/** Whether two pictures look the same. */
export function isSamePicture(a: PartPicture, b: PartPicture): boolean {
  if (a.brightness !== b.brightness || a.controls.size !== b.controls.size) return false;
  if (a.rgb === null || b.rgb === null ? a.rgb !== b.rgb : Buffer.compare(a.rgb, b.rgb) !== 0) return false;
  for (const [name, one] of a.controls) {
    const other = b.controls.get(name);
    if (other === undefined || !isSameFeedback(one, other)) return false;
  }
  return true;
}

function isSameFeedback(a: ControlFeedback, b: ControlFeedback): boolean {
  return (
    a.position === b.position &&
    a.ring === b.ring &&
    a.hint === b.hint &&
    a.light.every((level, index) => level === b.light[index])
  );
}
