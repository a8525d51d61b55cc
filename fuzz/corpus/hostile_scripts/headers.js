export default {
  fetch() { return new Response("x", { headers: Array.from({ length: 40_000 }, (_, i) => ["x" + i, "y"]) }); },
  async task() { return new Array(4294967295); },
};
export function call() { let v = [1]; for (let i = 0; i < 30; i++) v = [v, v]; return v; }
