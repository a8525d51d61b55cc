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

// https://fetch.spec.whatwg.org/#scheme-fetch and https://fetch.spec.whatwg.org/#request-class
export const requests = () => {
  const url = URL.createObjectURL(new Blob(["hello world"], { type: "text/plain" }));
  const part = async (range, size, text, headers = { range }) => {
    const response = await fetch(url, { headers });
    return response.status === 206 && response.headers.get("content-range") === `bytes ${size}/11` &&
      response.headers.get("content-type") === "text/plain" && response.headers.get("content-length") === `${text.length}` &&
      (await response.text()) === text;
  };
  const refused = (range) => fetch(url, { headers: { range } }).then(() => false, (error) => error instanceof TypeError);
  return checks({
    "a part of a blob": () => part("bytes=1-3", "1-3", "ell"),
    "its rest": () => part("bytes = 6 - ", "6-10", "world"),
    "its end": () => part("bytes=-5", "6-10", "world"),
    "more than its end": () => part("bytes=-50", "0-10", "hello world"),
    "as much as there is": () => part("bytes=6-99", "6-10", "world"),
    "parts that are not there": async () =>
      (await Promise.all(["bytes=11-", "bytes=3-1", "bytes=-", "bytes=-0", "bytes=1-2,4-5", "lines=1-2"].map(refused))).every(Boolean),
    "what is the same for every request": () =>
      ["destination", "duplex"].map((name) => new Request("http://a/")[name]).join() === ",half" &&
      thrown(() => Request.prototype.duplex) instanceof TypeError,
  });
};
