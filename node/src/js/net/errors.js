// Errors of connections, as in Node.js: https://nodejs.org/api/errors.html#class-systemerror

(function () {
const { core, primordials } = __bootstrap;
const { Error, MapPrototypeGet, SafeSet, SetPrototypeHas } = primordials;
const { codeMap } = core.loadExtScript("ext:deno_node/internal_binding/uv.ts");

/** Codes of errors of the operating system. */
const SYSTEM = new SafeSet([
  "EACCES", "EADDRNOTAVAIL", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ENOTCONN", "EPIPE",
  "ETIMEDOUT",
]);
/** The number of libuv for EAI_NONAME. */
const ENOTFOUND = -3008;

/** Returns whether the connection ended with its event. */
const isOfEndedEvent = (error) => error?.name === "AbortError";

/** Converts an error of an op to the form of Node.js, if there is one. Others state their cause and remedy. */
function nodeError(error, syscall, host, port) {
  const { code } = error;
  if (code === "ENOTFOUND") {
    const failed = new Error(`getaddrinfo ENOTFOUND ${host}`, { cause: error });
    failed.errno = ENOTFOUND;
    failed.code = code;
    failed.syscall = "getaddrinfo";
    failed.hostname = host;
    return failed;
  }
  if (!SetPrototypeHas(SYSTEM, code)) return error;
  const isConnect = syscall === "connect";
  const failed = new Error(`${syscall} ${code}${isConnect ? ` ${host}:${port}` : ""}`, { cause: error });
  failed.errno = MapPrototypeGet(codeMap, code);
  failed.code = code;
  failed.syscall = syscall;
  if (isConnect) {
    failed.address = host;
    failed.port = port;
  }
  return failed;
}

return { isOfEndedEvent, nodeError };
})();
