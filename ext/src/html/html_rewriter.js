// HTMLRewriter: https://developers.cloudflare.com/workers/runtime-apis/html-rewriter/

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_html_new,
  op_isopod_html_selector,
  op_isopod_html_step,
  op_isopod_html_take,
  op_isopod_html_waiting,
} = core.ops;
const {
  ArrayPrototypePush,
  FunctionPrototypeCall,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  MathFloor,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  RegExpPrototypeExec,
  SafeFinalizationRegistry,
  SafeMap,
  SafeRegExp,
  String,
  SymbolToStringTag,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSubarray,
  TypeError,
  Uint8Array,
} = primordials;
const { ReadableStream } = core.loadExtScript("ext:deno_web/06_streams.js");
const { Headers } = core.loadExtScript("ext:deno_fetch/20_headers.js");
const { ResponsePrototype } = core.loadExtScript("ext:deno_fetch/23_response.js");
const { Response } = core.loadExtScript("ext:isopod_fetch/responses.js");
const { bytesOf } = core.loadExtScript("ext:isopod_web/bytes.js");
const { makeToken, release } = core.loadExtScript("ext:isopod_html/tokens.js");

/** Number of bytes that are rewritten between two chances for an interrupt. */
const SLICE_BYTES = 16 * 1024;

/** Maximum number of handlers of a rewriter, because each is tried for each element. */
const HANDLERS_MAX = 256;

// The commands of the op, and its results besides calls.
const WRITE = 0;
const END = 1;
const HANDLED = 2;
const THROWN = 3;

/** The names of handlers by the op's numbers of token kinds. */
const elementHandlers = ["element", "comments", "text"];
const documentHandlers = [undefined, "comments", "text", "doctype", "end"];
const END_TAG = 5;

const nothing = new Uint8Array(0);
const noop = () => {};
const abandoned = new SafeFinalizationRegistry((rid) => core.tryClose(rid));

/** The rewriting of one response. */
class Rewriting {
  rid;
  nextEndTag = 0;
  #handlers;
  #endTags = new SafeMap();
  #reader;
  #chunk = nothing;
  #at = 0;
  #isOver = false;

  constructor(handlers, charset, body) {
    const given = [];
    for (let i = 0; i < handlers.length; i++) ArrayPrototypePush(given, [handlers[i].selector, handlers[i].kinds]);
    this.#handlers = handlers;
    this.rid = op_isopod_html_new(given, charset);
    try {
      this.#reader = body.getReader();
    } catch (error) {
      core.tryClose(this.rid);
      throw error;
    }
  }

  addEndTag(handler) {
    MapPrototypeSet(this.#endTags, this.nextEndTag++, handler);
  }

  /** Rewrites until there is output. */
  async pull(controller) {
    try {
      for (;;) {
        const output = this.#takeOutput();
        if (output !== null) {
          controller.enqueue(output);
          return;
        }
        if (this.#isOver) {
          this.#close();
          controller.close();
          // A read into a buffer must be answered explicitly: Streams Standard, 4.7.4.1.
          controller.byobRequest?.respond(0);
          return;
        }
        await this.#advance();
      }
    } catch (error) {
      this.#close();
      this.#cancel(error);
      throw error;
    }
  }

  /** Ends the rewriting when the output is canceled. */
  cancel(reason) {
    this.#close();
    this.#cancel(reason);
  }

  #close() {
    abandoned.unregister(this);
    core.tryClose(this.rid);
  }

  #cancel(reason) {
    PromisePrototypeThen(this.#reader.cancel(reason), undefined, noop);
  }

  #takeOutput() {
    const length = op_isopod_html_waiting(this.rid);
    if (length === 0) return null;
    const output = new Uint8Array(length);
    op_isopod_html_take(this.rid, output);
    return output;
  }

  /** Rewrites the next slice of the input. */
  async #advance() {
    if (this.#at >= TypedArrayPrototypeGetByteLength(this.#chunk)) {
      const { done, value } = await this.#reader.read();
      if (done) {
        await this.#handle(op_isopod_html_step(this.rid, END, nothing));
        this.#isOver = true;
        return;
      }
      this.#chunk = bytesOf(value);
      this.#at = 0;
    }
    const slice = TypedArrayPrototypeSubarray(this.#chunk, this.#at, this.#at + SLICE_BYTES);
    this.#at += SLICE_BYTES;
    await this.#handle(op_isopod_html_step(this.rid, WRITE, slice));
  }

  /** Calls the handlers at which the rewriter is suspended. */
  async #handle(step) {
    while (step >= 0) {
      const number = step % 2 ** 32;
      const kind = MathFloor(step / 2 ** 32);
      const { self, handler } = this.#find(kind, number);
      const token = makeToken(kind, this);
      try {
        const result = FunctionPrototypeCall(handler, self, token);
        if (result !== null && typeof result === "object" && typeof result.then === "function") await result;
      } catch (error) {
        release(token);
        this.#fail();
        throw error;
      }
      release(token);
      step = op_isopod_html_step(this.rid, HANDLED, nothing);
    }
  }

  #find(kind, number) {
    if (kind === END_TAG) {
      const handler = MapPrototypeGet(this.#endTags, number);
      MapPrototypeDelete(this.#endTags, number);
      return { self: undefined, handler };
    }
    const { handlers, selector } = this.#handlers[number];
    const name = (selector === null ? documentHandlers : elementHandlers)[kind];
    return { self: handlers, handler: handlers[name] };
  }

  /** Ends the rewriter after a handler has thrown the error to report. */
  #fail() {
    try {
      op_isopod_html_step(this.rid, THROWN, nothing);
    } catch {
      // Its error only says that a handler has thrown.
    }
  }
}

const CHARSET = new SafeRegExp(/;\s*charset\s*=\s*"?([^\s";]+)/i);

/** The charset that a content type names. */
function charsetOf(contentType) {
  const found = contentType === null ? null : RegExpPrototypeExec(CHARSET, contentType);
  return found === null ? "utf-8" : found[1];
}

/** The kinds of tokens for which there are handlers, as bits. */
function kindsOf(handlers, names) {
  if (handlers === null || typeof handlers !== "object") {
    throw new TypeError("the handlers must be an object with methods");
  }
  let kinds = 0;
  for (let kind = 0; kind < names.length; kind++) {
    const handler = names[kind] === undefined ? undefined : handlers[names[kind]];
    if (handler === undefined || handler === null) continue;
    if (typeof handler !== "function") throw new TypeError(`the handler '${names[kind]}' must be a function`);
    kinds |= 1 << kind;
  }
  return kinds;
}

class HTMLRewriter {
  #handlers = [];

  /** Adds handlers for the elements that match a selector. */
  on(selector, handlers) {
    selector = String(selector);
    op_isopod_html_selector(selector);
    this.#add({ selector, handlers, kinds: kindsOf(handlers, elementHandlers) });
    return this;
  }

  /** Adds handlers for the document. */
  onDocument(handlers) {
    this.#add({ selector: null, handlers, kinds: kindsOf(handlers, documentHandlers) });
    return this;
  }

  #add(entry) {
    if (this.#handlers.length >= HANDLERS_MAX) {
      throw new TypeError(`an HTMLRewriter can have at most ${HANDLERS_MAX} handlers`);
    }
    ArrayPrototypePush(this.#handlers, entry);
  }

  /** Returns a response whose body is rewritten while it is read. */
  transform(response) {
    if (!ObjectPrototypeIsPrototypeOf(ResponsePrototype, response)) {
      throw new TypeError("HTMLRewriter.transform() needs a Response");
    }
    const { body, headers, status, statusText } = response;
    if (body === null) return response;
    const rewriting = new Rewriting([...this.#handlers], charsetOf(headers.get("content-type")), body);
    const stream = new ReadableStream({
      type: "bytes",
      pull: (controller) => rewriting.pull(controller),
      cancel: (reason) => rewriting.cancel(reason),
    }, { __proto__: null, highWaterMark: 0 });
    abandoned.register(stream, rewriting.rid, rewriting);
    const rewritten = new Headers(headers);
    rewritten.delete("content-length");
    return new Response(stream, { headers: rewritten, status, statusText });
  }

  get [SymbolToStringTag]() {
    return "HTMLRewriter";
  }
}

return { HTMLRewriter };
})();
