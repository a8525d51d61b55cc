// The tokens that handlers of HTMLRewriter are called with.
// https://developers.cloudflare.com/workers/runtime-apis/html-rewriter/
//
// A token is on the stack of its rewriter, which is suspended while the token's handler runs. Once the handler has returned,
// the object here is detached.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_html_act } = core.ops;
const {
  ArrayPrototypeSymbolIterator,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  SafeArrayIterator,
  String,
  Symbol,
  SymbolToStringTag,
  TypeError,
} = primordials;
const { askForText, COPY } = core.loadExtScript("ext:isopod_quotas/texts.js");

// The verbs of the op.
const BEFORE = 0;
const AFTER = 1;
const REPLACE = 2;
const REMOVE = 3;
const REMOVED = 4;
const PREPEND = 5;
const APPEND = 6;
const SET_INNER_CONTENT = 7;
const REMOVE_AND_KEEP_CONTENT = 8;
const NAME = 9;
const SET_NAME = 10;
const ATTRIBUTES = 11;
const ATTRIBUTE = 12;
const HAS_ATTRIBUTE = 13;
const SET_ATTRIBUTE = 14;
const REMOVE_ATTRIBUTE = 15;
const NAMESPACE = 16;
const ON_END_TAG = 17;
const TEXT = 18;
const SET_TEXT = 19;
const IS_LAST = 20;
const PUBLIC_ID = 21;
const SYSTEM_ID = 22;

const constructKey = Symbol("construct");

/** A text to be copied for the rewriter. */
function text(value) {
  const copied = `${value}`;
  askForText(copied, COPY, 2);
  return copied;
}

let release;

class Token {
  #rewriting;

  constructor(key, rewriting) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#rewriting = rewriting;
  }

  static {
    // Called when the handler has returned.
    release = (token) => token.#rewriting = null;
  }

  static act(token, verb, one = "", other = "", isHtml = false) {
    const rewriting = token.#rewriting;
    if (rewriting === null) throw new TypeError("this token can only be used while its handler runs");
    return op_isopod_html_act(rewriting.rid, verb, one, other, isHtml);
  }

  static rewritingOf(token) {
    return token.#rewriting;
  }
}

const { act, rewritingOf } = Token;
delete Token.act;
delete Token.rewritingOf;

/** Inserts content, as text unless `{ html: true }` is given. */
function insert(token, verb, content, options) {
  if (content !== null && typeof content === "object") {
    throw new TypeError("the content must be a string: read a Response or a ReadableStream first, await response.text()");
  }
  act(token, verb, text(content), "", !!options?.html);
  return token;
}

const mutations = {
  before(content, options = undefined) {
    return insert(this, BEFORE, content, options);
  },
  after(content, options = undefined) {
    return insert(this, AFTER, content, options);
  },
  replace(content, options = undefined) {
    return insert(this, REPLACE, content, options);
  },
  remove() {
    act(this, REMOVE);
    return this;
  },
};

const removed = {
  get removed() {
    return act(this, REMOVED);
  },
};

class Element extends Token {
  get tagName() {
    return act(this, NAME);
  }
  set tagName(name) {
    act(this, SET_NAME, text(name));
  }
  get namespaceURI() {
    return act(this, NAMESPACE);
  }
  /** An iterator of the current `[name, value]` pairs. */
  get attributes() {
    return ArrayPrototypeSymbolIterator(act(this, ATTRIBUTES));
  }
  getAttribute(name) {
    return act(this, ATTRIBUTE, text(name));
  }
  hasAttribute(name) {
    return act(this, HAS_ATTRIBUTE, text(name));
  }
  setAttribute(name, value) {
    act(this, SET_ATTRIBUTE, text(name), text(value));
    return this;
  }
  removeAttribute(name) {
    act(this, REMOVE_ATTRIBUTE, text(name));
    return this;
  }
  prepend(content, options = undefined) {
    return insert(this, PREPEND, content, options);
  }
  append(content, options = undefined) {
    return insert(this, APPEND, content, options);
  }
  setInnerContent(content, options = undefined) {
    return insert(this, SET_INNER_CONTENT, content, options);
  }
  removeAndKeepContent() {
    act(this, REMOVE_AND_KEEP_CONTENT);
    return this;
  }
  onEndTag(handler) {
    if (typeof handler !== "function") throw new TypeError("onEndTag() needs a function");
    const rewriting = rewritingOf(this);
    act(this, ON_END_TAG, String(rewriting?.nextEndTag));
    rewriting.addEndTag(handler);
  }
}

class EndTag extends Token {
  get name() {
    return act(this, NAME);
  }
  set name(name) {
    act(this, SET_NAME, text(name));
  }
}

class Comment extends Token {
  get text() {
    return act(this, TEXT);
  }
  set text(value) {
    act(this, SET_TEXT, text(value));
  }
}

class Text extends Token {
  get text() {
    return act(this, TEXT);
  }
  get lastInTextNode() {
    return act(this, IS_LAST);
  }
}

class Doctype extends Token {
  get name() {
    return act(this, NAME);
  }
  get publicId() {
    return act(this, PUBLIC_ID);
  }
  get systemId() {
    return act(this, SYSTEM_ID);
  }
}

class DocumentEnd extends Token {
  append(content, options = undefined) {
    return insert(this, APPEND, content, options);
  }
}

function addMembers(Interface, members) {
  for (const name of new SafeArrayIterator(members)) {
    const source = name in mutations ? mutations : removed;
    const property = ObjectGetOwnPropertyDescriptor(source, name);
    ObjectDefineProperty(Interface.prototype, name, { __proto__: null, ...property });
  }
}

addMembers(Element, ["before", "after", "replace", "remove", "removed"]);
addMembers(Comment, ["before", "after", "replace", "remove", "removed"]);
addMembers(Text, ["before", "after", "replace", "remove", "removed"]);
addMembers(EndTag, ["before", "after", "remove"]);

/** By the op's numbers of token kinds. */
const interfaces = [Element, Comment, Text, Doctype, DocumentEnd, EndTag];
for (const Interface of new SafeArrayIterator(interfaces)) {
  ObjectDefineProperty(Interface.prototype, SymbolToStringTag, {
    __proto__: null,
    value: Interface.name,
    configurable: true,
  });
}

const makeToken = (kind, rewriting) => new interfaces[kind](constructKey, rewriting);

return { makeToken, release };
})();
