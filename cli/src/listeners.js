// Before the main module runs: notes which events it listens for.

export const heard = new Set();

const add = globalThis.addEventListener;
globalThis.addEventListener = function (type, ...rest) {
  heard.add(type);
  return add.call(globalThis, type, ...rest);
};
