/** Repeatable chance: names, jitter and node choice follow the seed. */

// k8s.io/apimachinery/pkg/util/rand: no vowels and no 0, 1, 3, so that no words appear.
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** A seeded generator (xorshift32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = (seed >>> 0) ^ 0x9e3779b9 || 1;
  }

  /** A number from 0 to below 1. */
  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) / 2 ** 32;
  }

  /** `ms` with up to 30 % more or less; 0 stays 0. */
  jitter(ms: number): number {
    return ms * (0.7 + this.next() * 0.6);
  }

  /** The suffix of a generated name. */
  suffix(length: number): string {
    let text = '';
    while (text.length < length) text += ALPHABET[Math.floor(this.next() * ALPHABET.length)];
    return text;
  }

  /** A version 4 UUID. */
  uuid(): string {
    const hex = (length: number): string => {
      let text = '';
      while (text.length < length) text += Math.floor(this.next() * 16).toString(16);
      return text;
    };
    return `${hex(8)}-${hex(4)}-4${hex(3)}-${'89ab'[Math.floor(this.next() * 4)]}${hex(3)}-${hex(12)}`;
  }
}

/** A hash of a Pod template in the alphabet of generated names, as pod-template-hash is. */
export function templateHash(template: unknown): string {
  let hash = 0x811c9dc5;
  for (const char of JSON.stringify(template)) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
  }
  return [...String(hash)].map((char) => ALPHABET[char.charCodeAt(0) % ALPHABET.length]).join('');
}
