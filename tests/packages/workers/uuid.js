import { v4, v5, validate, version } from "uuid";
import { v4 as old4, v5 as old5 } from "uuid8";

export default {
  fetch: () => Response.json([version(v4()), validate(old4()), v5("example.com", v5.DNS), old5("example.com", old5.DNS)]),
};
