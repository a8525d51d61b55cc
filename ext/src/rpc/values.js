// Values as messages, `[bytes, parts]`, and back. The parts are functions, objects with methods, and streams.
// https://developers.cloudflare.com/workers/runtime-apis/rpc/#structured-clonable-types-and-more

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_clone_write_plain,
  op_isopod_rpc_adopt,
  op_isopod_rpc_dup,
  op_isopod_rpc_lend,
  op_isopod_rpc_limits,
  op_isopod_rpc_pump,
  op_isopod_rpc_stream,
} = core.ops;
const {
  ArrayIsArray,
  ArrayPrototypePush,
  Error,
  JSONParse,
  MapPrototypeForEach,
  MapPrototypeGet,
  MapPrototypeHas,
  MapPrototypeSet,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  ObjectKeys,
  ObjectPrototype,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  ReflectApply,
  SafeArrayIterator,
  SafeMap,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeForEach,
  SymbolDispose,
  TypedArrayPrototypeGetByteLength,
  TypeError,
  WeakMapPrototypeGet,
} = primordials;
const { addInterface, dataCloneError, deserializeWith, serializeWith } = core.loadExtScript("ext:isopod_web/clone.js");
const askForCopy = core.loadExtScript("ext:isopod_web/weigh.js");
const { isMap, isProxy, isSet } = core;
const { nodes, RpcTarget } = core.loadExtScript("ext:isopod_rpc/target.js");
const {
  getReadableStreamResourceBacking,
  ReadableStream,
  readableStreamForRid,
  resourceForReadableStream,
  WritableStream,
} = core.loadExtScript("ext:deno_web/06_streams.js");
const { Request, Response } = core.loadExtScript("ext:isopod_fetch/responses.js");
const { Headers } = core.loadExtScript("ext:deno_fetch/20_headers.js");
const { toInnerRequest } = core.loadExtScript("ext:deno_fetch/23_request.js");
const { cfText } = core.loadExtScript("ext:isopod_handlers/incoming.js");

/** The kinds of parts (convert.rs). */
const STUB = 0;
const STREAM = 1;

let limitsOfWorker;

/** `[path, message, depth]` */
const limits = () => limitsOfWorker ??= op_isopod_rpc_limits();

/** Levels that are searched for functions. */
const DEPTH_MAX = 200;

/** A stand-in for a function, which V8 does not serialize. */
class Stand {
  constructor(of) {
    this.of = of;
  }
}

addInterface(Stand, { __proto__: null, is: (object) => ObjectPrototypeIsPrototypeOf(Stand.prototype, object) });
addInterface(RpcTarget, { __proto__: null, is: () => true });
const isTarget = (object) => ObjectPrototypeIsPrototypeOf(RpcTarget.prototype, object);

/** Returns true if an object's properties stay in the worker, because it is an instance of a class. */
function isLeaf(object) {
  if (isProxy(object) || ArrayIsArray(object) || isMap(object) || isSet(object)) return false;
  const prototype = ObjectGetPrototypeOf(object);
  return prototype !== ObjectPrototype && isTarget(object);
}

/** Copies a value, with stand-ins for the functions in it. */
function withStands(value, seen, depth) {
  if (typeof value === "function") {
    let stand = MapPrototypeGet(seen, value);
    if (stand === undefined) {
      stand = new Stand(value);
      MapPrototypeSet(seen, value, stand);
    }
    return stand;
  }
  if (value === null || typeof value !== "object" || depth === 0 || isProxy(value)) return value;
  if (MapPrototypeHas(seen, value)) return MapPrototypeGet(seen, value);
  const copied = (item) => withStands(item, seen, depth - 1);
  let copy;
  if (ArrayIsArray(value)) {
    copy = [];
    MapPrototypeSet(seen, value, copy);
    copy.length = value.length;
    for (const key of new SafeArrayIterator(ObjectKeys(value))) copy[key] = copied(value[key]);
  } else if (isMap(value)) {
    copy = new SafeMap();
    MapPrototypeSet(seen, value, copy);
    MapPrototypeForEach(value, (item, key) => MapPrototypeSet(copy, copied(key), copied(item)));
  } else if (isSet(value)) {
    copy = new SafeSet();
    MapPrototypeSet(seen, value, copy);
    SetPrototypeForEach(value, (item) => SetPrototypeAdd(copy, copied(item)));
  } else if (ObjectGetPrototypeOf(value) === ObjectPrototype) {
    copy = {};
    MapPrototypeSet(seen, value, copy);
    for (const key of new SafeArrayIterator(ObjectKeys(value))) {
      ObjectDefineProperty(copy, key, {
        __proto__: null,
        value: copied(value[key]),
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
  } else {
    copy = value;
  }
  return copy;
}

/** One message that is being written. */
class Writing {
  parts = null;
  /** Called with a target; returns the function that the other side's stub calls. */
  #targetOf;
  /** Called for each part that the other side keeps, with the function to be called when it is released. */
  #kept;
  constructor(targetOf, kept) {
    this.#targetOf = targetOf;
    this.#kept = kept;
  }

  add(kind, rid) {
    this.parts ??= [];
    ArrayPrototypePush(this.parts, kind, rid);
    return this.parts.length / 2 - 1;
  }

  lend(target, isOnceMore = false) {
    const gone = this.#kept?.();
    try {
      return this.add(STUB, op_isopod_rpc_lend(this.#targetOf(target, gone, isOnceMore)));
    } catch (error) {
      gone?.();
      throw error;
    }
  }

  stream(stream) {
    if (stream.locked) throw new TypeError("The ReadableStream has been locked to a reader.");
    const backing = getReadableStreamResourceBacking(stream);
    let rid;
    if (backing) {
      stream.getReader();
      rid = backing.rid;
    } else {
      rid = resourceForReadableStream(stream);
    }
    const outgoing = op_isopod_rpc_stream(rid);
    const gone = this.#kept?.();
    PromisePrototypeThen(op_isopod_rpc_pump(outgoing), gone, gone);
    return this.add(STREAM, outgoing);
  }

  /** The description of an object that is more than data. */
  describe(object, kind) {
    const name = kind?.name;
    if (name === "Stand") {
      const { of } = object;
      const node = WeakMapPrototypeGet(nodes, of);
      if (node === undefined) return { __proto__: null, type: "RpcStub", part: this.lend(of) };
      if (node.rid === undefined) {
        throw dataCloneError(`Could not serialize object of type "${node.type}". This type does not support serialization.`);
      }
      const rid = node.live();
      // An event does not stay open for stubs that it holds itself.
      const isLentOnceMore = node.own !== undefined && this.#kept !== undefined;
      return {
        __proto__: null,
        type: "RpcStub",
        part: isLentOnceMore ? this.lend(node.own, true) : this.add(STUB, op_isopod_rpc_dup(rid)),
      };
    }
    if (isTarget(object)) return { __proto__: null, type: "RpcStub", part: this.lend(object) };
    switch (name) {
      case "ReadableStream":
        return { __proto__: null, type: name, part: this.stream(object) };
      case "WritableStream":
        return { __proto__: null, type: name, part: this.lend(new Sink(object)) };
      case "Headers":
        return { __proto__: null, type: name, list: listOf(object) };
      case "Request":
        return {
          __proto__: null,
          type: name,
          url: object.url,
          method: object.method,
          redirect: object.redirect,
          cf: cfText(toInnerRequest(object)),
          list: listOf(object.headers),
          body: this.body(object),
        };
      case "Response":
        if (object.webSocket) throw dataCloneError("a Response with a WebSocket cannot be passed over RPC");
        return {
          __proto__: null,
          type: name,
          status: object.status,
          statusText: object.statusText,
          list: listOf(object.headers),
          body: this.body(object),
        };
    }
  }

  body(object) {
    if (object.bodyUsed) throw new TypeError("Body has already been used. It can only be used once. Use tee() first.");
    const { body } = object;
    return body === null ? -1 : this.stream(body);
  }

  /** Releases the parts of a message that is not sent. */
  discard() {
    for (let i = 1; this.parts !== null && i < this.parts.length; i += 2) core.tryClose(this.parts[i]);
  }
}

const { forEach } = Headers.prototype;

function listOf(headers) {
  const list = [];
  ReflectApply(forEach, headers, [(value, name) => ArrayPrototypePush(list, [name, value])]);
  return list;
}

/** The receiving end of a WritableStream that another worker writes to. */
class Sink extends RpcTarget {
  #writer;
  #isDone = false;
  constructor(stream) {
    super();
    if (stream.locked) throw new TypeError("This WritableStream is currently locked to a writer.");
    this.#writer = stream.getWriter();
  }
  write(chunk) {
    return this.#writer.write(chunk);
  }
  close() {
    this.#isDone = true;
    return this.#writer.close();
  }
  abort(reason) {
    this.#isDone = true;
    return this.#writer.abort(reason);
  }
  [SymbolDispose]() {
    if (this.#isDone) return;
    const reason = new Error("WritableStream received over RPC was disposed before it was closed.");
    PromisePrototypeThen(this.#writer.abort(reason), undefined, () => {});
  }
}

/** Returns true for a small primitive value, whose copy needs no look at the memory. */
function isLight(value) {
  switch (typeof value) {
    case "boolean":
    case "number":
    case "undefined":
      return true;
    case "string":
      return value.length <= 1024;
    default:
      return value === null;
  }
}

/** The same for the items of a list of our own, which has no getters. */
function areLight(list) {
  if (list.length > 16) return false;
  for (let i = 0; i < list.length; i++) {
    if (!isLight(list[i])) return false;
  }
  return true;
}

/** Writes a message of light values and lists of such, which has no parts. */
function writeLight(value) {
  const bytes = op_isopod_clone_write_plain(value);
  refuseLarge(bytes);
  return [bytes, null];
}

function refuseLarge(bytes) {
  const length = TypedArrayPrototypeGetByteLength(bytes);
  const { 1: max } = limits();
  if (length <= max) return;
  throw new Error(
    `Serialized RPC arguments or return values are limited to ${max} bytes (\`limits.message\`), but the size of this ` +
      `value was: ${length} bytes.`,
  );
}

/**
 * Writes a message. `targetOf` creates the function behind a stub of a target; `kept` is called for each part that the other
 * side holds, and returns the function to be called when it is released.
 */
function write(value, targetOf, kept = undefined) {
  if (askForCopy(value, [], isLeaf)) value = withStands(value, new SafeMap(), DEPTH_MAX);
  const writing = new Writing(targetOf, kept);
  let bytes;
  try {
    bytes = serializeWith(value, (object, kind) => writing.describe(object, kind));
    refuseLarge(bytes);
  } catch (error) {
    writing.discard();
    throw error;
  }
  return [bytes, writing.parts];
}

/** Reads a message. `stubFor` creates a stub of a resource. */
function read(bytes, parcel, stubFor) {
  const parts = parcel === null ? [] : op_isopod_rpc_adopt(parcel);
  const stream = (part) => part === -1 ? null : readableStreamForRid(parts[part][1]);
  return deserializeWith(bytes, (data) => {
    switch (data.type) {
      case "RpcStub":
        return stubFor(parts[data.part][1]);
      case "ReadableStream":
        return stream(data.part);
      case "WritableStream":
        return writableFor(stubFor(parts[data.part][1]));
      case "Headers":
        return new Headers(data.list);
      case "Request": {
        const { method, redirect, cf, list } = data;
        const init = { __proto__: null, method, redirect, headers: list };
        if (cf !== null) init.cf = JSONParse(cf);
        const body = stream(data.body);
        if (body !== null) {
          init.body = body;
          init.duplex = "half";
        }
        return new Request(data.url, init);
      }
      case "Response": {
        const { status, statusText, list } = data;
        return new Response(stream(data.body), { __proto__: null, status, statusText, headers: list });
      }
    }
  });
}

function writableFor(stub) {
  const node = WeakMapPrototypeGet(nodes, stub);
  const dispose = () => node.dispose();
  const request = (name, args) => node.request(true, [name], args);
  return new WritableStream({
    __proto__: null,
    write: (chunk) => request("write", [chunk]),
    close: () => PromisePrototypeThen(request("close", []), dispose),
    abort: (reason) => PromisePrototypeThen(request("abort", [reason]), dispose),
  });
}

return { areLight, isLight, limits, read, write, writeLight };
})();
