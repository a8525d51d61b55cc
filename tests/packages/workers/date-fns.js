import { addDays, formatISO, parseISO } from "date-fns";
import { addDays as addDays2, format } from "date-fns2";
import { de } from "date-fns2/locale/index.js";

const date = parseISO("2026-02-27T00:00:00Z");
export default {
  fetch: () =>
    Response.json([
      addDays(date, 2),
      addDays2(date, 3),
      formatISO(date).length,
      format(new Date(2026, 4, 1), "d. MMMM yyyy", { locale: de }),
    ]),
};
