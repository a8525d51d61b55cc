import _ from "underscore";
import async from "async";

export default {
  fetch: async () => Response.json([_.uniq([1, 2, 1]), await async.mapLimit([1, 2, 3], 2, async (n) => n * n)]),
};
