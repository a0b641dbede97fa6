/** Runs inside the rig: everything that it promises, each thing once. */
import { runChecks } from '../guest/smoke-checks.ts';

process.exitCode = await runChecks(process.env);
