/** Public keys as `authorized_keys` has them (sshd(8)), without options. */

const types: ReadonlySet<string> = new Set([
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
]);
const mostBytes = 4096;

/** The lines that are keys; of the others what is wrong with them, by their number. */
export function readKeys(lines: readonly string[]): {
  readonly keys: readonly string[];
  readonly problems: readonly string[];
} {
  const keys: string[] = [];
  const problems: string[] = [];
  for (const [index, line] of lines.entries()) {
    const problem = problemOf(line.trim());
    if (problem === null) keys.push(line.trim());
    else problems.push(`key ${index + 1} ${problem}`);
  }
  return { keys: [...new Set(keys)], problems };
}

function problemOf(line: string): string | null {
  if (line.includes('PRIVATE KEY')) return 'is a private key: give the public one, which ends in .pub';
  // One key is one line: what has more could bring options or other keys in.
  if (line.length > mostBytes || /\p{Cc}/u.test(line)) return 'is not one line of text';
  const [type = '', data = ''] = line.split(' ');
  if (!types.has(type)) return 'does not begin with a type such as ssh-ed25519';
  const bytes = Buffer.from(data, 'base64');
  // RFC 4253, section 6.6: the key begins with its type, after four bytes of length.
  const isOfType =
    bytes.length > 32 &&
    bytes.readUInt32BE(0) === type.length &&
    bytes.toString('latin1', 4, 4 + type.length) === type;
  return isOfType && /^[A-Za-z0-9+/]+={0,2}$/.test(data) ? null : 'was cut or changed';
}
