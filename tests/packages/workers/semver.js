import semver, { satisfies } from "semver";
import Range from "semver/classes/range.js";

export default {
  fetch: () =>
    Response.json([
      satisfies("1.2.3", "^1.0.0"),
      semver.inc("1.2.3", "minor"),
      semver.sort(["2.0.0", "1.0.0-rc.1", "1.0.0"]),
      new Range("~1.2").range,
    ]),
};
