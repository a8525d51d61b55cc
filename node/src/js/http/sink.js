// The bytes written to a message, as a stream for `fetch` or a `Response`. A write waits until its bytes are read.

(function () {
const { core, primordials } = __bootstrap;
const { Promise, TypedArrayPrototypeGetByteLength } = primordials;
const { ReadableStream } = core.loadExtScript("ext:deno_web/06_streams.js");

class Sink {
  stream;
  #controller;
  /** Wakes the reader. */
  #wake = null;
  #chunk = null;
  #callback = null;
  #isOver = false;

  /** `onCancel`: called when the reader wants no more. */
  constructor(onCancel) {
    this.stream = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () =>
        new Promise((resolve) => {
          this.#wake = resolve;
          this.#hand();
        }),
      cancel: (reason) => {
        this.#isOver = true;
        this.#release();
        onCancel(reason);
      },
    }, { __proto__: null, highWaterMark: 0 });
  }

  write(bytes, callback) {
    if (this.#isOver || TypedArrayPrototypeGetByteLength(bytes) === 0) return callback();
    this.#chunk = bytes;
    this.#callback = callback;
    this.#hand();
  }

  #hand() {
    if (this.#wake === null || this.#chunk === null) return;
    this.#controller.enqueue(this.#chunk);
    this.#release();
  }

  /** Wakes the reader and the writer. */
  #release() {
    const { 0: wake, 1: callback } = [this.#wake, this.#callback];
    this.#wake = this.#chunk = this.#callback = null;
    wake?.();
    callback?.();
  }

  end() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#controller.close();
    this.#release();
  }

  /** Fails the reader, because the body is incomplete. */
  fail(error) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#controller.error(error);
    this.#release();
  }
}

return { Sink };
})();
