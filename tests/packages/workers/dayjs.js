import dayjs from "dayjs";
import utc from "dayjs/plugin/utc.js";
import "dayjs/locale/fr.js";

dayjs.extend(utc);
export default { fetch: () => Response.json(dayjs.utc("2026-03-05").locale("fr").format("dddd D MMMM YYYY")) };
