/** Where a part's lights are in the matrix of the panel. Pure. */

/** How far something is mounted turned clockwise, degrees. */
export type Rotation = 0 | 90 | 180 | 270;

/** Width and height of a grid, in lights. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The place of a part's lights in the matrix of the panel. */
export interface Region {
  /** Column of the top left light, as mounted. */
  readonly x: number;
  /** Its row. */
  readonly y: number;
  /** Size as mounted: turned by 90 or 270 degrees, width and height have changed places. */
  readonly width: number;
  readonly height: number;
  /** How far the part is turned. */
  readonly rotate: Rotation;
}

/** The size of a grid once it is turned. */
export function turnedSize({ width, height }: Size, rotate: Rotation): Size {
  return rotate === 90 || rotate === 270 ? { width: height, height: width } : { width, height };
}

/**
 * Where a light of a part is once the part is mounted turned clockwise.
 * @param size of the part itself, before it is turned
 * @returns column and row, counted from the top left as mounted
 */
export function turnedPlace(
  { width, height }: Size,
  rotate: Rotation,
  x: number,
  y: number,
): readonly [x: number, y: number] {
  switch (rotate) {
    case 0:
      return [x, y];
    case 90:
      return [height - 1 - y, x];
    case 180:
      return [width - 1 - x, height - 1 - y];
    case 270:
      return [y, width - 1 - x];
  }
}

/** The region of a part with lights of a size, its top left light at a place of the panel. */
export function regionAt(at: readonly [x: number, y: number], size: Size, rotate: Rotation): Region {
  return { x: at[0], y: at[1], ...turnedSize(size, rotate), rotate };
}

/** Whether two regions have a light in common. */
export function overlap(a: Region, b: Region): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/**
 * For each light of a part, in the part's own order (row-major from its own top left), which light of the matrix it
 * shows; null when the region does not lie within the matrix.
 */
export function lightsOf(region: Region, matrix: Size): readonly number[] | null {
  if (region.x < 0 || region.x + region.width > matrix.width) return null;
  if (region.y < 0 || region.y + region.height > matrix.height) return null;
  const own = turnedSize(region, region.rotate);
  return Array.from({ length: own.width * own.height }, (_, index) => {
    const [x, y] = turnedPlace(own, region.rotate, index % own.width, Math.floor(index / own.width));
    return (region.y + y) * matrix.width + region.x + x;
  });
}

/** Cuts lights out of a matrix of three bytes a light; a matrix that is too small leaves the rest dark. */
export function cut(rgb: Uint8Array, lights: readonly number[]): Uint8Array {
  const own = new Uint8Array(lights.length * 3);
  lights.forEach((light, index) => {
    own.set(rgb.subarray(light * 3, light * 3 + 3), index * 3);
  });
  return own;
}
