// Checks of `node:dns`. https://nodejs.org/api/dns.html

import dns, { lookup, promises, Resolver } from "node:dns";
import { lookup as lookupPromise, resolve4 } from "node:dns/promises";
import { promisify } from "node:util";

const called = (run, ...args) => new Promise((resolve) => run(...args, (...given) => resolve(given)));
const failed = (promise) => promise.then(() => "no error", (error) => error);

export const lookups = () =>
  checks({
    "lookup": async () => JSON.stringify(await called(lookup, "a.example")) === '[null,"2606:4700::1",6]' && JSON.stringify(await called(lookup, "a.example", 4)) === '[null,"1.2.3.4",4]',
    "all, and their order": async () => {
      const all = await lookupPromise("a.example", { all: true });
      const sorted = await lookupPromise("a.example", { all: true, order: "ipv4first" });
      return JSON.stringify(all) === '[{"address":"2606:4700::1","family":6},{"address":"1.2.3.4","family":4}]' && sorted[0].family === 4;
    },
    "addresses and localhost": async () => (await lookupPromise("::1")).family === 6 && (await lookupPromise("127.0.0.1")).address === "127.0.0.1" && (await lookupPromise("localhost", 4)).address === "127.0.0.1" && (await lookupPromise("")).address === null,
    "promisify": async () => JSON.stringify(await promisify(lookup)("a.example", 4)) === '{"address":"1.2.3.4","family":4}',
    "an unknown name": async () => {
      const error = await failed(lookupPromise("unknown.example"));
      const [other] = await called(lookup, "none.example");
      return error.code === "ENOTFOUND" && error.syscall === "getaddrinfo" && error.hostname === "unknown.example" && error.errno === -3008 && error.message === "getaddrinfo ENOTFOUND unknown.example" && other.code === "ENOTFOUND";
    },
    "resolve": async () =>
      (await resolve4("a.example")).join() === "1.2.3.4" && JSON.stringify(await resolve4("a.example", { ttl: true })) === '[{"address":"1.2.3.4","ttl":0}]' && (await promises.resolve6("a.example"))[0] === "2606:4700::1" &&
      (await called(dns.resolve, "a.example", "A"))[1][0] === "1.2.3.4" && (await called(new Resolver().resolve4, "a.example"))[1][0] === "1.2.3.4" && (await new promises.Resolver().resolve("a.example"))[0] === "1.2.3.4",
    "other records of such a resolver": async () => {
      const { code, syscall, message } = await failed(promises.resolveMx("a.example"));
      return code === "ENOTIMP" && syscall === "queryMx" && message === "queryMx ENOTIMP a.example";
    },
    "wrong arguments": async () =>
      thrown(() => lookup("a.example")).code === "ERR_INVALID_ARG_TYPE" && thrown(() => lookup("a.example", { family: 5 }, () => {})).code === "ERR_INVALID_ARG_VALUE" && thrown(() => lookup(5, () => {})).code === "ERR_INVALID_ARG_TYPE" &&
      (await failed(promises.resolve("a.example", "NONE"))).code === "ERR_INVALID_ARG_VALUE" && (await failed(promises.reverse("a.example"))).code === "EINVAL",
    "settings": () => dns.getServers().length === 0 && thrown(() => dns.setServers(["1.1.1.1"])).code === "ERR_METHOD_NOT_IMPLEMENTED" && dns.getDefaultResultOrder() === "verbatim" && dns.NOTFOUND === "ENOTFOUND" && dns.promises === promises,
  });

export const guarded = () =>
  checks({
    "a private address": async () => {
      const errors = [await failed(lookupPromise("private.example")), await failed(resolve4("private.example"))];
      return errors.every(({ message }) => message === "private.example has no address that the network policy of this worker permits") || errors.map(String);
    },
    "the names of a private address": async () => (await failed(promises.reverse("10.0.0.1"))).message !== "no error",
  });

export const charged = () =>
  checks({
    "the third": async () => {
      await resolve4("a.example");
      await lookupPromise("a.example");
      return /subrequests/.test((await failed(lookupPromise("a.example"))).message);
    },
  });
