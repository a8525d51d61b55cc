// Evaluates one test as a classic script, and returns its results. Runs in Isopod and in the runtimes beside it.

// Time limits of tests. The suite has 10 and 60 s; in Isopod tests run concurrently, in unoptimized builds.
const TIMEOUTS_MS = { normal: 30_000, long: 120_000 };

/** Resolves relative URLs as in a document or worker at `location`: a script on a server has no URL of its own. */
function locate(location) {
  const url = new URL(location);
  Object.defineProperty(globalThis, "location", { value: url, configurable: true });
  const { fetch } = globalThis;
  Object.defineProperty(globalThis, "fetch", {
    value: (input, init) => fetch(typeof input === "string" ? new URL(input, url) : input, init),
    configurable: true,
    writable: true,
  });
}

export async function run(location, isLong, harness, test, { evaluate = eval, timeouts = TIMEOUTS_MS } = {}) {
  locate(location);
  globalThis.GLOBAL = { isWindow: () => false, isWorker: () => true, isShadowRealm: () => false };
  // In the scope of a worker, the harness would send its results to a page, which does not exist.
  const { WorkerGlobalScope = class WorkerGlobalScope {} } = globalThis;
  const scope = { value: WorkerGlobalScope, writable: true, enumerable: false, configurable: true };
  delete globalThis.WorkerGlobalScope;
  // Also where the name is inherited: nothing is an instance of this class.
  if ("WorkerGlobalScope" in globalThis) Object.defineProperty(globalThis, "WorkerGlobalScope", { ...scope, value: class {} });
  evaluate(harness);
  Object.defineProperty(globalThis, "WorkerGlobalScope", scope);
  // The kind of scope, by which tests of interfaces select the required ones.
  Object.defineProperty(globalThis, "DedicatedWorkerGlobalScope", scope);
  const completed = new Promise((resolve) => {
    add_completion_callback((tests, status) => resolve({ tests, status }));
  });
  const limit = setTimeout(timeout, timeouts[isLong ? "long" : "normal"]);
  // A process with nothing left to do ends, and does not wait for this.
  if (typeof limit === "object") limit.unref();
  else globalThis.Deno?.unrefTimer(limit);
  let thrown;
  try {
    evaluate(test);
  } catch (error) {
    thrown = `${error}`;
    done();
  }
  const { tests, status } = await completed;
  clearTimeout(limit);
  return {
    error: thrown ?? (status.status === 0 ? undefined : `${status.message ?? `harness status ${status.status}`}`),
    subtests: tests.map(({ name, status, message }) => ({ name, passed: status === 0, message: message ?? undefined })),
  };
}
