import moment from "moment";
import "moment/locale/de.js";

const date = moment.utc("2026-03-05T10:20:30Z");
export default {
  fetch: () => Response.json([date.locale("en").format("LLLL"), date.locale("de").format("dddd, LL"), moment.duration(90, "minutes").humanize()]),
};
