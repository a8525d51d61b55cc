// Errors of other workers, and errors of calls without an answer.

(function () {
const { core, primordials } = __bootstrap;
const {
  AggregateError,
  Error,
  EvalError,
  ObjectDefineProperty,
  RangeError,
  ReferenceError,
  SafeSet,
  SetPrototypeHas,
  SyntaxError,
  TypeError,
  URIError,
} = primordials;
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");

const builtIn = { __proto__: null, Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

/** https://webidl.spec.whatwg.org/#idl-DOMException-error-names, as far as they are no QuotaExceededError. */
const domNames = new SafeSet([
  "AbortError",
  "ConstraintError",
  "DataCloneError",
  "DataError",
  "EncodingError",
  "InUseAttributeError",
  "IndexSizeError",
  "InvalidAccessError",
  "InvalidCharacterError",
  "InvalidModificationError",
  "InvalidNodeTypeError",
  "InvalidStateError",
  "NamespaceError",
  "NetworkError",
  "NotAllowedError",
  "NotFoundError",
  "NotReadableError",
  "NotSupportedError",
  "OperationError",
  "ReadOnlyError",
  "SecurityError",
  "TimeoutError",
  "TransactionInactiveError",
  "UnknownError",
  "VersionError",
  "WrongDocumentError",
]);

function newError(name, message) {
  if (name in builtIn) return new builtIn[name](message);
  if (name === "AggregateError") return new AggregateError([], message);
  if (SetPrototypeHas(domNames, name)) return new DOMException(message, name);
  const error = new Error(message);
  const property = { __proto__: null, value: name, configurable: true, enumerable: false, writable: true };
  ObjectDefineProperty(error, "name", property);
  return error;
}

/** An error thrown by another worker, or the reason why there is no response. */
function errorOf({ class: name, message, remote, retryable, overloaded }) {
  const error = newError(name, message);
  // https://developers.cloudflare.com/durable-objects/best-practices/error-handling/
  if (remote) error.remote = true;
  if (retryable) error.retryable = true;
  if (overloaded) error.overloaded = true;
  return error;
}

return { errorOf };
})();
