import * as R from "ramda";

export default { fetch: () => Response.json([R.pipe(R.filter(R.gt(R.__, 1)), R.sum)([1, 2, 3]), R.path(["a", "b"], { a: { b: 4 } })]) };
