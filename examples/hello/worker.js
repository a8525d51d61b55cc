// The smallest worker: `cargo xtask serve examples/hello`, then `curl http://127.0.0.1:8787/you`.

export default {
  fetch(request) {
    const name = new URL(request.url).pathname.slice(1) || "world";
    return new Response(`Hello, ${name}!\n`);
  },
};
