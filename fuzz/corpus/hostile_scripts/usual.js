let left = [], kept;
export default {
  async fetch(request, env, ctx) {
    try { [3, 1, 2].sort(() => { for (;;); }); } catch (error) { left.push(error); }
    return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)); } }));
  },
  async task(request, env, ctx) {
    for (let i = 0; i < 2000; i++) ctx.progress?.(i);
    return left;
  },
};
export async function call(request, env = {}, ctx = {}) {
  (async () => { for (;;) await 0; })();
  return 1;
}
