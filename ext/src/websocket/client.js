// The opening of a client's WebSocket: its arguments, and the handshake by `fetch`.
// https://websockets.spec.whatwg.org/#the-websocket-interface

(function () {
const { core, primordials } = __bootstrap;
const { op_fetch, op_fetch_send } = core.ops;
const {
  ArrayIsArray,
  ArrayPrototypeJoin,
  ArrayPrototypePush,
  Error,
  RegExpPrototypeTest,
  SafeRegExp,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeHas,
} = primordials;

const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");

const TOKEN = new SafeRegExp(/^[!#$%&'*+\-.^_`|~A-Za-z0-9]+$/);

function parseUrl(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new DOMException(`Failed to construct 'WebSocket': the URL '${text}' is invalid`, "SyntaxError");
  }
  if (url.protocol === "http:") url.protocol = "ws:";
  else if (url.protocol === "https:") url.protocol = "wss:";
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    throw new DOMException("Failed to construct 'WebSocket': the URL must begin with ws: or wss:", "SyntaxError");
  }
  if (url.hash !== "") {
    throw new DOMException("Failed to construct 'WebSocket': the URL must not have a fragment", "SyntaxError");
  }
  return url;
}

function parseProtocols(protocols) {
  if (protocols === undefined) return [];
  const names = ArrayIsArray(protocols) ? protocols : [protocols];
  const parsed = [];
  const seen = new SafeSet();
  for (let i = 0; i < names.length; i++) {
    const name = `${names[i]}`;
    if (!RegExpPrototypeTest(TOKEN, name) || SetPrototypeHas(seen, name)) {
      throw new DOMException(`Failed to construct 'WebSocket': the subprotocol '${name}' is invalid or named twice`, "SyntaxError");
    }
    SetPrototypeAdd(seen, name);
    ArrayPrototypePush(parsed, name);
  }
  return parsed;
}

/** Opens a connection with a request of `fetch`. */
async function connect(url, protocols) {
  const target = new URL(url.href);
  target.protocol = url.protocol === "wss:" ? "https:" : "http:";
  const headers = [["Upgrade", "websocket"]];
  if (protocols.length > 0) {
    ArrayPrototypePush(headers, ["Sec-WebSocket-Protocol", ArrayPrototypeJoin(protocols, ", ")]);
  }
  const { requestRid } = op_fetch("GET", target.href, headers, null, false, null, null);
  const sent = await op_fetch_send(requestRid);
  if (sent.error !== null) throw new Error(sent.error[1]);
  if (sent.status !== 101) {
    core.tryClose(sent.responseRid);
    throw new Error(`the server answered with status ${sent.status} instead of 101`);
  }
  return { rid: sent.responseRid, protocol: protocolOf(sent.headers) };
}

function protocolOf(headers) {
  for (let i = 0; i < headers.length; i++) {
    if (headers[i][0] === "sec-websocket-protocol") return headers[i][1];
  }
  return "";
}

return { connect, parseProtocols, parseUrl, protocolOf };
})();
