import _ from "lodash";
import pick from "lodash/pick.js";
import fp from "lodash/fp.js";

export default {
  fetch: () =>
    Response.json([
      _.chunk([1, 2, 3], 2),
      _.template("<%= user %>!")({ user: "fred" }),
      typeof _.debounce(() => {}, 1),
      pick({ a: 1, b: 2 }, "b"),
      fp.flow(fp.map((n) => n * 2), fp.sum)([1, 2]),
      _.groupBy(["one", "two", "three"], "length"),
    ]),
};
