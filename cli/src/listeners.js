// Before the main module runs: notes which events it listens for.

export const listened = new Set();

const add = globalThis.addEventListener;
globalThis.addEventListener = function (type, ...rest) {
  listened.add(type);
  return add.call(globalThis, type, ...rest);
};
