let left = [], kept;
export default {
  async fetch() { throw Symbol("x"); },
  async task(request, env, ctx) {
    ctx.progress(Symbol("x")).catch(() => {});
    ctx.emit("x", { a: Symbol("x") }).catch(() => {});
    return [Symbol("x")];
  },
};
export function call() { return { a: Symbol("x") }; }
