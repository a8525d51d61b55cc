import Bluebird from "bluebird";

export default {
  fetch: async () => Response.json(await Bluebird.map([1, 2, 3], (n) => Bluebird.delay(1).return(n * 2), { concurrency: 2 })),
};
