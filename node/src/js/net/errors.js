// Errors of connections as Node.js has them: https://nodejs.org/api/errors.html#class-systemerror

(function () {
const { core, primordials } = __bootstrap;
const { Error, MapPrototypeGet, SafeSet, SetPrototypeHas } = primordials;
const { codeMap } = core.loadExtScript("ext:deno_node/internal_binding/uv.ts");

/** Codes of the operating system, whose errors have the same form everywhere. */
const SYSTEM = new SafeSet([
  "EACCES", "EADDRNOTAVAIL", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ENOTCONN", "EPIPE",
  "ETIMEDOUT",
]);
/** That of libuv for EAI_NONAME. */
const ENOTFOUND = -3008;

/** The event of the connection has ended, and the connection with it. */
const isOfEndedEvent = (error) => error?.name === "AbortError";

/** An error of an op, in the form of Node.js if there is one. Others name their cause and the remedy. */
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
