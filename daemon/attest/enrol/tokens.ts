/**
 * One-time tokens as files, one each, so that `surfaced enroll token` and a running gateway can share the folder.
 * The name of a file carries what changes: `<id>.<uses left>[.<hash of the key of the last use>].json`.
 * A use is one rename, which happens exactly once whoever else tries, and lasts through SIGKILL.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import { makeStateFolder, stateError, syncFolder, writeStateFile } from '../state-files.ts';
import { isSameProof, newToken, readToken, tokenProof } from './token-proof.ts';

/** Spent and old tokens are remembered this long, so that their holder is told why they are refused. */
const rememberMs = 24 * 60 * 60 * 1000;

const namePattern = /^([a-z0-9]{6})\.(\d{1,4})(?:\.([0-9a-f]{64}))?\.json$/;
const storedToken = z.strictObject({
  v: z.literal(1),
  surface: z.string(),
  /** HKDF of the secret, hex. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.number(),
  expiresAt: z.number(),
});

/** A token as lists show it. */
export interface TokenInfo {
  readonly id: string;
  readonly surface: string;
  readonly usesLeft: number;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** What a surface sends to show that it holds a token. */
export interface TokenProof {
  readonly id: string;
  readonly nonce: Uint8Array;
  /** SHA-256 of the SubjectPublicKeyInfo that it wants a certificate for. */
  readonly keyHash: Uint8Array;
  readonly proof: Uint8Array;
}

/** A token whose holder has shown that they hold it. */
export interface ProvenToken {
  readonly surface: string;
  /**
   * Takes one use. The key that took the last one may take it again: its answer may have been lost.
   * @throws SurfacedError E_TOKEN_SPENT
   */
  spend(): Promise<void>;
}

export interface Tokens {
  /** Makes a token for one surface; the result is the only place where the secret appears. */
  create(options: {
    readonly surface: string;
    readonly ttlMs: number;
    readonly uses: number;
  }): Promise<{ readonly token: string; readonly id: string; readonly expiresAt: number }>;
  /** @throws SurfacedError E_TOKEN_REFUSED, alike for an unknown id and a wrong proof; E_TOKEN_SPENT */
  prove(proof: TokenProof): Promise<ProvenToken>;
  /** Tokens that can still be used. */
  list(): Promise<TokenInfo[]>;
  /** Removes what is too old even to be remembered. */
  sweep(): Promise<void>;
}

interface Entry {
  readonly file: string;
  readonly id: string;
  readonly usesLeft: number;
  readonly lastKey: string | undefined;
}

/** The tokens in a folder, which is made when it is first needed. */
export function openTokens(options: { readonly folder: string; readonly clock: Clock }): Tokens {
  const { folder, clock } = options;
  /** Stands in for the key of an unknown token, so that it takes the same work to refuse it. */
  const nobodysKey = randomBytes(32);
  /** Spending one by one keeps readers of the folder from seeing a rename half-way. */
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work);
    queue = done.catch(() => undefined);
    return done;
  };

  async function entries(): Promise<Entry[]> {
    const names = await readdir(folder).catch((cause: unknown) => {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw stateError(folder, cause);
    });
    return names.flatMap((name) => {
      const [, id, usesLeft, lastKey] = namePattern.exec(name) ?? [];
      return id && usesLeft
        ? [{ file: path.join(folder, name), id, usesLeft: Number(usesLeft), lastKey }]
        : [];
    });
  }

  const find = async (id: string): Promise<Entry | null> =>
    (await entries()).filter((entry) => entry.id === id).sort((a, b) => a.usesLeft - b.usesLeft)[0] ?? null;

  async function read(entry: Entry): Promise<z.infer<typeof storedToken> | null> {
    try {
      return storedToken.parse(JSON.parse(await readFile(entry.file, 'utf8')));
    } catch {
      // A file that somebody has damaged or just removed is no token.
      return null;
    }
  }

  async function spend(id: string, lastKey: string): Promise<void> {
    for (;;) {
      const entry = await find(id);
      if (entry?.lastKey === lastKey) return;
      if (!entry || entry.usesLeft === 0)
        throw new SurfacedError('E_TOKEN_SPENT', `token ${id} has been used`);
      try {
        await rename(entry.file, path.join(folder, `${id}.${entry.usesLeft - 1}.${lastKey}.json`));
        await syncFolder(folder);
        return;
      } catch (cause) {
        // Another process was faster: look again.
        if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw stateError(entry.file, cause);
      }
    }
  }

  async function sweep(): Promise<void> {
    for (const entry of await entries()) {
      const stored = await read(entry);
      if (stored && stored.expiresAt + rememberMs < clock.now())
        await unlink(entry.file).catch(() => undefined);
    }
  }

  return {
    create: async ({ surface, ttlMs, uses }) => {
      await makeStateFolder(folder);
      await sweep();
      for (;;) {
        const token = newToken();
        const { id, key } = readToken(token)!;
        if (await find(id)) continue;
        const now = clock.now();
        const expiresAt = now + ttlMs;
        const stored = { v: 1, surface, key: key.toString('hex'), createdAt: now, expiresAt };
        const file = path.join(folder, `${id}.${uses}.json`);
        if (!(await writeStateFile(file, JSON.stringify(stored), { isExclusive: true }))) continue;
        return { token, id, expiresAt };
      }
    },
    prove: async ({ id, nonce, keyHash, proof }) => {
      const found = await inTurn(async () => {
        const entry = await find(id);
        return entry && (await read(entry));
      });
      const key = found ? Buffer.from(found.key, 'hex') : nobodysKey;
      if (!isSameProof(tokenProof(key, nonce, keyHash), proof) || !found) {
        throw new SurfacedError(
          'E_TOKEN_REFUSED',
          'the token is not known here, or the proof does not fit it',
        );
      }
      if (found.expiresAt <= clock.now()) {
        throw new SurfacedError(
          'E_TOKEN_SPENT',
          `token ${id} ran out at ${new Date(found.expiresAt).toISOString()}`,
        );
      }
      const lastKey = Buffer.from(keyHash).toString('hex');
      return { surface: found.surface, spend: () => inTurn(() => spend(id, lastKey)) };
    },
    list: async () => {
      const infos: TokenInfo[] = [];
      for (const entry of await entries()) {
        const stored = await read(entry);
        if (!stored || entry.usesLeft === 0 || stored.expiresAt <= clock.now()) continue;
        const { surface, expiresAt } = stored;
        infos.push({ id: entry.id, surface, usesLeft: entry.usesLeft, expiresAt });
      }
      return infos;
    },
    sweep,
  };
}
