/** Reads a flattened device tree: Devicetree Specification 0.4, chapter 5. */

/** Nodes by their path, each with its properties as they are. */
export type DeviceTree = ReadonlyMap<string, ReadonlyMap<string, Buffer>>;

const token = { beginNode: 1, endNode: 2, property: 3, nothing: 4, end: 9 } as const;

/** @throws Error for what is no device tree */
export function readDeviceTree(bytes: Buffer): DeviceTree {
  if (bytes.readUInt32BE(0) !== 0xd00dfeed) throw new Error('no flattened device tree');
  const strings = bytes.readUInt32BE(12);
  const textAt = (start: number): string => bytes.toString('latin1', start, bytes.indexOf(0, start));
  const tree = new Map<string, Map<string, Buffer>>();
  const names: string[] = [];
  let at = bytes.readUInt32BE(8);
  const skip = (count: number): void => {
    at += Math.ceil(count / 4) * 4;
  };
  for (;;) {
    const kind = bytes.readUInt32BE(at);
    at += 4;
    if (kind === token.end) return tree;
    if (kind === token.beginNode) {
      const name = textAt(at);
      names.push(name);
      tree.set(`/${names.slice(1).join('/')}`, new Map());
      skip(name.length + 1);
    } else if (kind === token.endNode) names.pop();
    else if (kind === token.property) {
      const [length, name] = [bytes.readUInt32BE(at), textAt(strings + bytes.readUInt32BE(at + 4))];
      at += 8;
      tree.get(`/${names.slice(1).join('/')}`)?.set(name, bytes.subarray(at, at + length));
      skip(length);
    } else if (kind !== token.nothing) throw new Error(`unknown token ${kind} at ${at - 4}`);
  }
}
