let left = [], kept;
export default {
  async fetch() {
    const failed = await import("./" + "x".repeat(1e6) + ".js").catch((error) => String(error).slice(0, 100));
    return new Response(failed);
  },
  async task() { await import("./x/".repeat(1e4)); },
};
export async function call() { return (() => { let v = [1]; for (let i = 0; i < 30; i++) v = [v, v]; return v; })(); }
