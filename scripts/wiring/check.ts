/** What is wrong with a wiring: as electricity, and as a picture that is to be read. Pure. */
import { kindOf } from './catalogue.ts';
import { type Box, headerBox, labelBox, partBox } from './geometry.ts';
import { isCovered } from './header.ts';
import { labelsOf } from './labels.ts';
import { netsOf, pinKind, type Segment, segmentsOf } from './nets.ts';
import type { Wiring } from './types.ts';

/** Nearer than this, wires beside each other look like one; pixels. */
const leastDistance = 7;

/** Everything that is wrong, in words; nothing: the wiring can be drawn, and built. */
export function faultsOf(wiring: Wiring): string[] {
  const { parts, wires } = wiring;
  const unknown = wires
    .flatMap(({ from, to }) => [from, to])
    .filter((name) => pinKind(wiring, name) === null);
  // Where a pin does not exist nothing can be placed.
  if (unknown.length > 0) return [...new Set(unknown)].map((name) => `there is no pin ${name}`);
  const ids = parts.map(({ id }) => id);
  return [
    ...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `two parts are called ${id}`),
    ...netFaults(wiring),
    ...openFaults(wiring),
    ...placeFaults(wiring),
    ...wireFaults(wiring),
  ];
}

/** Pins that are joined are for the same; nothing is joined to 5 V or to what the TPM board covers. */
function netFaults(wiring: Wiring): string[] {
  return netsOf(wiring, true).flatMap(({ pins, wires, colour }) => {
    const kinds = [...new Set(pins.map((name) => pinKind(wiring, name)))];
    const ofHeader = pins.filter((name) => name.startsWith('pi.') && name !== 'pi.usb');
    const found: string[] = [];
    if (kinds.length > 1)
      found.push(`${pins.join(', ')}: joined, and not for the same (${kinds.join(', ')})`);
    if (kinds.includes('five-volts')) found.push(`${pins.join(', ')}: parts take 3.3 V, not 5 V`);
    if (kinds.includes('reserved'))
      found.push(`${pins.join(', ')}: that pin is for the identification of HATs`);
    if (kinds.includes('signal') && pins.length > 2)
      found.push(`${pins.join(', ')}: more than two ends of a line`);
    const covered = ofHeader.filter((name) => isCovered(Number(name.slice(3))));
    found.push(...covered.map((name) => `${name} is below the TPM board`));
    if (wires.some((wire) => wire.colour !== colour))
      found.push(`${pins.join(', ')}: wires of several colours`);
    return found;
  });
}

/** Power, ground and bus of every part come from the header. */
function openFaults(wiring: Wiring): string[] {
  const nets = netsOf(wiring, true);
  return wiring.parts.flatMap((part) =>
    kindOf(part)
      .pins.filter(({ kind }) => kind !== 'signal')
      .map(({ name }) => `${part.id}.${name}`)
      .filter(
        (name) => !nets.some(({ pins }) => pins.includes(name) && pins.some((pin) => pin.startsWith('pi.'))),
      )
      .filter((name) => !(kindOf(part).isChained && name.endsWith('2')))
      .map((name) => `${name} leads nowhere`),
  );
}

const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const inside = (a: Box, b: Box): boolean =>
  a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width && a.y + a.height <= b.y + b.height;
const grown = ({ x, y, width, height }: Box, by: number): Box => ({
  x: x - by,
  y: y - by,
  width: width + 2 * by,
  height: height + 2 * by,
});
const boxOf = ({ from, to }: Segment): Box => ({
  ...from,
  width: Math.max(to.x - from.x, 0.1),
  height: Math.max(to.y - from.y, 0.1),
});

/** Boxes and texts have room: none covers another, none leaves the picture. */
function placeFaults(wiring: Wiring): string[] {
  const page = { x: 8, y: 8, width: wiring.width - 16, height: wiring.height - 16 };
  const labels = labelsOf(wiring).map((label) => ({ name: `"${label.text}"`, box: labelBox(label) }));
  const boxes = [
    { name: 'the header', box: headerBox(wiring) },
    ...wiring.parts.map((part) => ({ name: part.id, box: partBox(part) })),
  ];
  const segments = wiring.wires.flatMap((wire) =>
    segmentsOf(wiring, wire).map((segment) => ({ name: `the wire to ${wire.to}`, box: boxOf(segment) })),
  );
  const pairs = (list: readonly { readonly name: string; readonly box: Box }[]): string[] =>
    list.flatMap((one, index) =>
      list
        .slice(index + 1)
        .filter((other) => overlap(one.box, other.box))
        .map((other) => `${one.name} covers ${other.name}`),
    );
  const isCut = (label: Box, box: Box): boolean => overlap(label, box) && !inside(label, box);
  return [
    ...[...labels, ...boxes]
      .filter(({ box }) => !inside(box, page))
      .map(({ name }) => `${name} leaves the picture`),
    ...pairs(labels),
    ...pairs(boxes),
    ...boxes.flatMap(({ name, box }) =>
      labels
        .filter((label) => isCut(label.box, box))
        .map((label) => `${label.name} crosses the edge of ${name}`),
    ),
    ...segments.flatMap(({ name, box }) => [
      ...labels
        .filter((label) => overlap(grown(box, 2), label.box))
        .map((label) => `${name} runs through ${label.name}`),
      ...boxes
        .filter((part) => overlap(box, grown(part.box, -0.5)))
        .map((part) => `${name} runs through ${part.name}`),
    ]),
  ];
}

/** Wires of different nets cross at right angles in their course, and do nothing else to each other. */
function wireFaults(wiring: Wiring): string[] {
  const nets = netsOf(wiring, false).map((net) => ({
    name: net.pins.join(', '),
    segments: net.wires.flatMap((wire) => segmentsOf(wiring, wire)),
  }));
  return nets.flatMap((one, index) =>
    nets
      .slice(index + 1)
      .filter((other) => one.segments.some((a) => other.segments.some((b) => isMuddled(a, b))))
      .map((other) => `wires of ${one.name} and of ${other.name} touch or run too close`),
  );
}

function isMuddled(a: Segment, b: Segment): boolean {
  const isLevel = ({ from, to }: Segment): boolean => from.y === to.y;
  if (isLevel(a) === isLevel(b))
    return overlap(grown(boxOf(a), leastDistance / 2), grown(boxOf(b), leastDistance / 2));
  const [level, upright] = isLevel(a) ? [a, b] : [b, a];
  if (!overlap(grown(boxOf(level), leastDistance / 2), grown(boxOf(upright), leastDistance / 2)))
    return false;
  const isClear =
    upright.from.x - level.from.x >= leastDistance &&
    level.to.x - upright.from.x >= leastDistance &&
    level.from.y - upright.from.y >= leastDistance &&
    upright.to.y - level.from.y >= leastDistance;
  return !isClear;
}
