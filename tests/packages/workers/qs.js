import qs from "qs";

export default {
  fetch: () => Response.json([qs.parse("a[b][c]=1&d[]=2&d[]=3&e=%C3%A9"), qs.stringify({ a: { b: [1, 2] }, c: "é&" })]),
};
