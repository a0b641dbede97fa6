// Loaded before each test file: with SURFACED_SEED, property tests try the same values at every run, so that CI gives one
// commit one answer. Without, each run tries others, and a failure prints the seed to repeat it with.
const seed = Number(process.env.SURFACED_SEED ?? '');
if (seed !== 0) {
  const { default: fc } = await import('fast-check');
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
}
