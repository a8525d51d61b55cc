// Interfaces have the members of their standards, with the attributes of https://webidl.spec.whatwg.org/#javascript-binding.

export const members = () => {
  const list = {};
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const Interface = globalThis[name];
    // Properties defined by ECMAScript have other attributes.
    const isOfTheWeb = typeof Interface === "function" && Interface.prototype?.[Symbol.toStringTag] === name;
    if (!isOfTheWeb || /Array$|^(Map|Set|Weak.*|Promise|Iterator|.*Buffer|DataView|Symbol|BigInt|Finalization.*|.*DisposableStack)$/.test(name)) continue;
    list[name] = () => {
      const hidden = Object.entries(Object.getOwnPropertyDescriptors(Interface.prototype))
        .filter(([key, { enumerable }]) => key !== "constructor" && !enumerable);
      return hidden.length === 0 || hidden.map(([key]) => key);
    };
  }
  return checks({
    ...list,
    enough: () => Object.keys(list).length > 40,
    // One of them would return the bytes of keys that are not extractable.
    "nothing of deno's is there"() {
      const before = [Crypto, CryptoKey].flatMap(Object.getOwnPropertyNames);
      const names = [crypto, crypto.subtle].flatMap(({ constructor }) => Object.getOwnPropertyNames(constructor));
      const known = ["length", "name", "prototype", "supports"];
      return [...before, ...names].every((name) => known.includes(name)) && !("getParent" in new EventTarget()) &&
        !("initialized" in new Event("x")) && !("responseOf" in FetchEvent);
    },
    "constants are constants": () =>
      [[Event, "AT_TARGET", 2], [EventSource, "CLOSED", 2], [DOMException, "ABORT_ERR", 20]].every(([{ prototype }, name, number]) => {
        const { value, writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(prototype, name);
        return value === number && !writable && enumerable && !configurable;
      }),
  });
};
