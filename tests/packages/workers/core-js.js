import flat from "core-js-pure/actual/array/flat-map.js";
import Url from "core-js-pure/actual/url/index.js";
import "core-js/actual/iterator/index.js";

export default { fetch: () => Response.json([flat([1, 2], (n) => [n, n]), new Url("/a?b#c", "https://x.example").href]) };
