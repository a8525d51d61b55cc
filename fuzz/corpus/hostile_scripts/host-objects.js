const brand = Symbol.for("Deno.core.hostObject");
const forged = (data) => ({ [brand]() { return data; } });
const attempt = (f) => { try { return String(f()); } catch (error) { return String(error); } };
export default {
  fetch() {
    return new Response(attempt(() => structuredClone(forged({ type: "nope" }))));
  },
  task() {
    return [
      attempt(() => structuredClone(forged({ type: "Blob" }))),
      attempt(() => structuredClone(forged({ type: "toString" }))),
      attempt(() => structuredClone(forged({ type: "__proto__" }))),
      attempt(() => structuredClone(forged(null))),
      attempt(() => structuredClone(forged({ type: Symbol("x") }))),
    ];
  },
};
export function call() {
  const { port1, port2 } = new MessageChannel();
  port2.onmessage = () => {};
  port1.postMessage(forged({ type: "nope" }));
  return attempt(() => structuredClone({ get [brand]() { return () => ({ get type() { throw 1; } }); } }));
}
