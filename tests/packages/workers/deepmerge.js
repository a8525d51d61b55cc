import merge from "deepmerge";
import equal from "fast-deep-equal";

export default {
  fetch: () => Response.json([merge({ a: { b: 1 } }, { a: { c: 2 } }), equal({ a: [1] }, { a: [1] })]),
};
