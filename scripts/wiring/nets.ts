/** What is connected with what: pins that wires join, and the lines that they make in the picture. Pure. */
import { kindOf } from './catalogue.ts';
import { type Point, wirePath } from './geometry.ts';
import { headerPins } from './header.ts';
import type { PinKind, Wire, WireColour, Wiring } from './types.ts';

/** Pins that are one node, and the wires between them. */
export interface Net {
  readonly pins: readonly string[];
  readonly wires: readonly Wire[];
  readonly colour: WireColour;
}

/** A straight line, from left to right or from top to bottom. */
export interface Segment {
  readonly from: Point;
  readonly to: Point;
}

/** What a pin is for, by its name in the wiring; null: there is no such pin. */
export function pinKind(wiring: Wiring, name: string): PinKind | null {
  const [owner = '', pin = ''] = name.split('.');
  if (name === 'pi.usb') return 'usb';
  if (owner === 'pi') return headerPins.find(({ number }) => String(number) === pin)?.kind ?? null;
  const part = wiring.parts.find(({ id }) => id === owner);
  return part === undefined ? null : (kindOf(part).pins.find((one) => one.name === pin)?.kind ?? null);
}

/** Nets by the wires of the picture; what is joined inside a part counts as joined with `isThroughParts`. */
export function netsOf(wiring: Wiring, isThroughParts: boolean): Net[] {
  const group = new Map<string, Set<string>>();
  const join = (...names: readonly string[]) => {
    const all = new Set(names.flatMap((name) => [...(group.get(name) ?? [name])]));
    for (const name of all) group.set(name, all);
  };
  for (const { from, to } of wiring.wires) join(from, to);
  for (const part of isThroughParts ? wiring.parts : []) {
    if (!kindOf(part).isChained) continue;
    for (const { name } of kindOf(part).pins)
      if (name.endsWith('2')) join(`${part.id}.${name.slice(0, -1)}`, `${part.id}.${name}`);
  }
  return [...new Set(group.values())].map((pins) => {
    const wires = wiring.wires.filter(({ from }) => pins.has(from));
    return { pins: [...pins], wires, colour: wires[0]?.colour ?? 'grey' };
  });
}

/** The straight lines of a wire. */
export function segmentsOf(wiring: Wiring, wire: Wire): Segment[] {
  const path = wirePath(wiring, wire);
  return path.slice(1).map((to, index) => {
    const from = path[index] ?? to;
    return from.x < to.x || from.y < to.y ? { from, to } : { from: to, to: from };
  });
}

/** Points where wires of a net part: more than two directions meet. */
export function junctions(wiring: Wiring, { wires }: Net): Point[] {
  const segments = wires.flatMap((wire) => segmentsOf(wiring, wire));
  const corners = segments.flatMap(({ from, to }) => [from, to]);
  const found = corners.filter(({ x, y }) => {
    const directions = new Set<string>();
    for (const { from, to } of segments) {
      const isLevel = from.y === to.y;
      if (isLevel ? y !== from.y || x < from.x || x > to.x : x !== from.x || y < from.y || y > to.y) continue;
      if (isLevel ? x > from.x : y > from.y) directions.add(isLevel ? 'left' : 'up');
      if (isLevel ? x < to.x : y < to.y) directions.add(isLevel ? 'right' : 'down');
    }
    return directions.size > 2;
  });
  return [...new Map(found.map((point) => [`${point.x},${point.y}`, point])).values()];
}
