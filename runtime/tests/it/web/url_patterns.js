// https://urlpattern.spec.whatwg.org/

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const groups = (pattern, input, component) => new URLPattern(pattern).exec(input)?.[component].groups;

export const patterns = () => checks({
  "names and wildcards": () =>
    same(groups({ pathname: "/a/:b/*" }, "https://x.y/a/c/d/e", "pathname"), { 0: "d/e", b: "c" }) &&
    groups({ pathname: "/a/:b" }, "https://x.y/a/c/d", "pathname") === undefined,
  "a named group of anything has its name only": () =>
    same(groups({ hostname: ":domain(.*)" }, { hostname: "localhost" }, "hostname"), { domain: "localhost" }),
  "an optional group that is absent is undefined": () =>
    same(Object.entries(groups({ pathname: "/a{/:b}?" }, "https://x.y/a", "pathname")), [["b", undefined]]),
  // Step 15 of https://urlpattern.spec.whatwg.org/#compile-a-component
  "regular expressions have the flag v": () => {
    const pattern = new URLPattern({ pathname: "/([[a-z]--a])" });
    return pattern.test({ pathname: "/z" }) && !pattern.test({ pathname: "/a" }) && pattern.hasRegExpGroups;
  },
  "what only the flag u accepts has that": () =>
    same(groups({ pathname: "/([^/]+)/:a" }, "https://x.y/b/c", "pathname"), { 0: "b", a: "c" }),
  "names and sets": () =>
    same(groups({ pathname: "/:a/([[a-z]--b])" }, "https://x.y/b/c", "pathname"), { 0: "c", a: "b" }),
  "the case is ignored on request": () =>
    new URLPattern({ pathname: "/a" }, { ignoreCase: true }).test("https://x.y/A") &&
    new URLPattern("/a", "https://x.y", { ignoreCase: true }).test("https://x.y/A") &&
    !new URLPattern({ pathname: "/a" }).test("https://x.y/A"),
  "without an input everything is empty": () =>
    new URLPattern().test() && same(new URLPattern().exec().inputs, [{}]) && !new URLPattern({ pathname: "/" }).test(),
  "a group may have the name of a prototype": () =>
    Object.hasOwn(groups({ pathname: "/:__proto__" }, "https://x.y/a", "pathname"), "__proto__"),
  "the result has the inputs": () => {
    const { inputs, pathname } = new URLPattern("/:a", "https://x.y").exec("b", "https://x.y/c");
    return same(inputs, ["b", "https://x.y/c"]) && same(pathname, { input: "/b", groups: { a: "b" } });
  },
  "components are those of the pattern": () => {
    const { protocol, hostname, port, pathname, search, hash } = new URLPattern("https://*.y:8080/a?b#c");
    return same([protocol, hostname, port, pathname, search, hash], ["https", "*.y", "8080", "/a", "b", "c"]);
  },
  "a URL that is not valid does not match": () =>
    new URLPattern().test("nothing") === false && new URLPattern().exec("nothing") === null,
  "errors are TypeErrors": () =>
    [["/a"], [{ pathname: "/(" }], ["/a", "nothing"], ["/a", 1], [{}, "https://x.y"]].every((args) => {
      try {
        return new URLPattern(...args) && false;
      } catch (error) {
        return error instanceof TypeError;
      }
    }),
});
