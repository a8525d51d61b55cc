import { WorkerEntrypoint } from "cloudflare:workers";

let greeted = 0;

export default {
  fetch(request: Request): Response {
    const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
    if (name === "") throw new RangeError("whom shall I greet?");
    greeted++;
    return new Response(`Hello, ${name}!`);
  },
};

/** Another entry point of the same worker. */
export class Statistics extends WorkerEntrypoint {
  fetch(): Response {
    return Response.json({ greeted });
  }
}
