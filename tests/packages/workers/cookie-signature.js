import { sign, unsign } from "cookie-signature";

export default {
  fetch: () => Response.json([sign("hello", "tobiiscool"), unsign(sign("hello", "tobiiscool"), "tobiiscool"), unsign(sign("hello", "tobiiscool"), "luna")]),
};
