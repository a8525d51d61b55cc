// Calls another worker a hundred times, one call after another.
const TIMES = 100;

export default {
  async fetch(request, env) {
    let sum = 0;
    if (new URL(request.url).pathname === "/rpc") {
      for (let at = 0; at < TIMES; at++) sum = await env.OTHER.add(sum, 1);
    } else {
      for (let at = 0; at < TIMES; at++) sum += (await (await env.OTHER.fetch("http://other/one")).text()).length;
    }
    return new Response(`${sum}`, { status: sum === TIMES ? 200 : 500 });
  },
};
