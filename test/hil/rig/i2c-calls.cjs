// Runs i2c-bus calls, one array [name, ...arguments] each, and prints what each gave as one line of JSON. Bytes to write
// are given as hex; a buffer to fill is added by its length, the last argument.
const fs = require('node:fs');
// biome-ignore lint/correctness/noUnresolvedImports: the package names no main file in a way that is seen
const i2c = require('i2c-bus');

const [bus, calls] = [Number(process.argv[2]), JSON.parse(process.argv[3])];
const wire = i2c.openSync(bus);
for (const [name, ...rest] of calls) {
  let outcome;
  try {
    if (name === 'readFile') outcome = fs.readFileSync(rest[0], 'utf8').trim();
    else {
      const isReading = /^(?:read\w*Block|i2cRead)Sync$/.test(name);
      const filled = isReading ? Buffer.alloc(rest.at(-1)) : null;
      const passed = rest.map((value) => (typeof value === 'string' ? Buffer.from(value, 'hex') : value));
      if (filled !== null) passed.push(filled);
      const value = wire[name](...passed);
      outcome = filled !== null ? filled.toString('hex') : value === wire ? null : value;
    }
  } catch (error) {
    outcome = { error: error.message };
  }
  console.log(JSON.stringify(outcome ?? null));
}
wire.closeSync();
