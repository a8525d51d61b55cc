// Checks of `node:path`, `node:url`, `node:querystring`, `node:punycode` and `node:string_decoder`.
// https://nodejs.org/api/path.html https://nodejs.org/api/url.html https://nodejs.org/api/querystring.html

import path, { basename, join, posix, relative, resolve, win32 } from "node:path";
import * as posixPath from "node:path/posix";
import punycode from "node:punycode";
import querystring from "node:querystring";
import { StringDecoder } from "node:string_decoder";
import url, { domainToASCII, domainToUnicode, fileURLToPath, format, parse, pathToFileURL, urlToHttpOptions } from "node:url";

export const paths = () =>
  checks({
    // The documentation's examples.
    "basename": () => basename("/foo/bar/baz/asdf/quux.html", ".html") === "quux" && path.extname("index.coffee.md") === ".md" && path.dirname("/foo/bar/baz") === "/foo/bar",
    "join": () => join("/foo", "bar", "baz/asdf", "quux", "..") === "/foo/bar/baz/asdf" && thrown(() => join("foo", {})).code === "ERR_INVALID_ARG_TYPE",
    "resolve": () => resolve("/foo/bar", "./baz") === "/foo/bar/baz" && resolve("a") === "/bundle/a",
    "relative": () => relative("/data/orandea/test/aaa", "/data/orandea/impl/bbb") === "../../impl/bbb",
    "normalize": () => path.normalize("/foo/bar//baz/asdf/quux/..") === "/foo/bar/baz/asdf",
    "parse": () => JSON.stringify(path.parse("/home/user/dir/file.txt")) === '{"root":"/","dir":"/home/user/dir","base":"file.txt","ext":".txt","name":"file"}',
    "posix and win32": () => posix === path && path.sep === "/" && win32.basename("C:\\temp\\myfile.html") === "myfile.html" && posixPath.sep === "/" && path.isAbsolute("/a"),
  });

export const urls = () =>
  checks({
    "classes are the Web's": () => url.URL === URL && url.URLSearchParams === URLSearchParams,
    "fileURLToPath": () => fileURLToPath("file:///%E4%BD%A0%E5%A5%BD.txt") === "/你好.txt" && thrown(() => fileURLToPath("http://a/")).code === "ERR_INVALID_URL_SCHEME",
    "pathToFileURL": () => pathToFileURL("/foo#1").href === "file:///foo%231",
    "parse": () => {
      const parsed = parse("https://user:pass@sub.example.com:8080/p/a/t/h?query=string#hash", true);
      return parsed.host === "sub.example.com:8080" && parsed.auth === "user:pass" && parsed.query.query === "string" && parsed.pathname === "/p/a/t/h";
    },
    "format": () => format({ protocol: "https", hostname: "example.com", pathname: "/some/path", query: { page: 1, format: "json" } }) === "https://example.com/some/path?page=1&format=json",
    "format of a URL": () => format(new URL("https://a:b@測試?abc#foo"), { fragment: false, unicode: true, auth: false }) === "https://測試/?abc",
    "resolve": () => url.resolve("http://example.com/one", "/two") === "http://example.com/two",
    "objects that call operations while they are converted": () => {
      const domain = { toString: () => (crypto.getRandomValues(new Uint8Array(1)), "español.com") };
      return domainToASCII(domain) === "xn--espaol-zwa.com" && domainToUnicode(domain) === "español.com";
    },
    "domains": () => domainToASCII("español.com") === "xn--espaol-zwa.com" && domainToASCII("xn--iñvalid.com") === "" && domainToUnicode("xn--espaol-zwa.com") === "español.com",
    "urlToHttpOptions": () => urlToHttpOptions(new URL("https://a:b@xn--g6w251d/?abc#foo")).path === "/?abc",
    "querystring": () => querystring.stringify({ foo: "bar", baz: ["qux", "quux"], corge: "" }) === "foo=bar&baz=qux&baz=quux&corge=" && querystring.parse("foo=bar&abc=xyz&abc=123").abc.join() === "xyz,123" && querystring.escape("a b") === "a%20b",
    "punycode": () => punycode.encode("mañana") === "maana-pta" && punycode.decode("maana-pta") === "mañana" && punycode.toASCII("mañana.com") === "xn--maana-pta.com" && punycode.toUnicode("xn--maana-pta.com") === "mañana.com",
    "string_decoder": () => {
      const decoder = new StringDecoder("utf8");
      return decoder.write(Buffer.from([0xe2, 0x82])) === "" && decoder.end(Buffer.from([0xac])) === "€";
    },
  });
