// Runs the test of the current folder in workerd, and prints its results.

import { run } from "run.mjs";
import harness from "harness.txt";
import test from "test.txt";
import { location, isLong, timeouts } from "options.mjs";

export default {
  async test(_, { unsafe }) {
    const result = await run(location, isLong, harness, test, { evaluate: (text) => unsafe.eval(text), timeouts });
    console.log(`RESULT ${JSON.stringify(result)}`);
  },
};
