let left = [], kept;

export default {
  async fetch(request, env, ctx) {
    try { ctx.progress?.(1n); ctx.emit?.('x'.repeat(300), 1); ctx.progress?.(globalThis); ctx.emit?.('x', { get a() { throw 1; } }); } catch (error) { left.push(error); }
    return new Response(new Uint8Array(8 << 20));
  },
  async task(request, env, ctx) {
    
    return (() => { let v = [1]; for (let i = 0; i < 30; i++) v = [v, v]; return v; })();
  },
};
export async function call(request, env = {}, ctx = {}) {
  { const loop = {}; loop.loop = loop; console.log(loop, [loop], new Map([[loop, loop]])); structuredClone(loop); }
  return (() => { let v = [1]; for (let i = 0; i < 30; i++) v = [v, v]; return v; })();
}
