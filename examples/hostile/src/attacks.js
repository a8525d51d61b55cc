// One attack per function. The attacker sees what is thrown or returned.

const nameOf = (attack) => {
  try {
    return attack();
  } catch (error) {
    return error.name;
  }
};

export function loop() {
  for (;;);
}

export function microtasks() {
  const again = () => { Promise.resolve().then(again); };
  again();
  return new Promise(() => {});
}

export const comparator = () => [3, 1, 2].sort(() => { for (;;); });

export const proxy = () => new Proxy({}, { get() { for (;;); } }).anything;

export const regexp = () => /(a+)+b/.test("a".repeat(40));

export function large_arrays() {
  const all = [];
  for (;;) all.push(new Array(100_000).fill(1.5));
}

export function small_objects() {
  const all = [];
  for (let i = 0; ; i++) all.push({ text: `number ${i}` });
}

export const array_buffer = () => nameOf(() => new ArrayBuffer(2 ** 53));

export function wasm_memory() {
  const memory = new WebAssembly.Memory({ initial: 1 });
  return nameOf(() => { for (;;) memory.grow(1024); });
}

export function recursion() {
  const again = () => again() + 1;
  return nameOf(again);
}

export function rejections() {
  for (let i = 0; i < 20_000; i++) Promise.reject(i);
  throw new Error("the one that counts");
}

export function timers() {
  for (let i = 0; i < 1_000_000; i++) setTimeout(() => {}, 60_000);
}

export const never = () => new Promise(() => {});

export const late = () => new Promise((resolve) => setTimeout(resolve, 60_000));

export function prototypes() {
  const evil = () => { throw new Error("not any more"); };
  Promise.prototype.then = evil;
  Object.prototype.toString = evil;
  Array.prototype[Symbol.iterator] = evil;
  Function.prototype.call = evil;
  for (;;);
}
