import { filter, from, interval, lastValueFrom, map, take, toArray } from "rxjs";

export default {
  fetch: async () =>
    Response.json([
      await lastValueFrom(from([1, 2, 3, 4]).pipe(filter((n) => n % 2 === 0), map((n) => n * 10), toArray())),
      await lastValueFrom(interval(1).pipe(take(3))),
    ]),
};
