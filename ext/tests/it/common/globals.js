// The part of the web platform that the tests use.
import { core, internals } from "ext:core/mod.js";

// Tracing is not under test; fetch looks for these.
internals.__telemetry ??= { TRACING_ENABLED: false, PROPAGATORS: [], exitSpan() {} };
internals.__telemetryUtil ??= {};

core.loadExtScript("ext:deno_web/02_event.js");
const { AbortController } = core.loadExtScript("ext:deno_web/03_abort_signal.js");
const { TextDecoder, TextEncoder } = core.loadExtScript("ext:deno_web/08_text_encoding.js");
const { ReadableStream } = core.loadExtScript("ext:deno_web/06_streams.js");
const { setTimeout } = core.loadExtScript("ext:deno_web/02_timers.js");
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");
const { Headers } = core.loadExtScript("ext:deno_fetch/20_headers.js");
const { Request } = core.loadExtScript("ext:deno_fetch/23_request.js");
const { Response } = core.loadExtScript("ext:deno_fetch/23_response.js");
const { fetch } = core.loadExtScript("ext:deno_fetch/26_fetch.js");
const { D1Database } = core.loadExtScript("ext:isopod_sql/sql.js");

Object.assign(globalThis, {
  AbortController, D1Database, Headers, ReadableStream, Request, Response, TextDecoder, TextEncoder, URL, fetch, setTimeout,
});
globalThis.thrown = async (f) => {
  try {
    await f();
  } catch (error) {
    return { name: error?.name, message: error?.message, cause: error?.cause?.message ?? null };
  }
  return null;
};
