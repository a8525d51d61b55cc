import ms from "ms";

export default { fetch: () => Response.json([ms("2 days"), ms(90_000), ms(90_000, { long: true })]) };
