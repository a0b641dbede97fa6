import { readFileSync } from 'node:fs';
import t from 'tap';

interface Locked {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
  readonly packages: Readonly<Record<string, Locked>>;
};

/** Where node would look for a dependency of the package at this place, nearest first. */
function* placesOf(dependency: string, at: string): Generator<string> {
  for (let place = at; place !== ''; place = place.slice(0, Math.max(0, place.lastIndexOf('/node_modules/'))))
    yield `${place}/node_modules/${dependency}`;
  yield `node_modules/${dependency}`;
}

t.test('every dependency is locked, also those for other machines', async (t) => {
  // npm leaves out optional packages that it could not fetch when the file was written; `npm ci` then refuses the
  // whole file, on every machine.
  const missing = Object.entries(lock.packages).flatMap(([place, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => ![...placesOf(name, place)].some((at) => lock.packages[at]?.version !== undefined))
      .map((name) => `${place} needs ${name}`),
  );
  t.same(missing, []);
});
