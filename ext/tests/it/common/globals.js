// The part of the web platform that the tests use.
import { core } from "ext:core/mod.js";

core.loadExtScript("ext:deno_web/02_event.js");
const { AbortController } = core.loadExtScript("ext:deno_web/03_abort_signal.js");
const { TextDecoder, TextEncoder } = core.loadExtScript("ext:deno_web/08_text_encoding.js");
const { ReadableStream } = core.loadExtScript("ext:deno_web/06_streams.js");
const { setTimeout } = core.loadExtScript("ext:deno_web/02_timers.js");
const { URL, URLSearchParams } = core.loadExtScript("ext:deno_web/00_url.js");
core.loadExtScript("ext:isopod_fetch/bodies.js");
const { Headers } = core.loadExtScript("ext:deno_fetch/20_headers.js");
const { FormData } = core.loadExtScript("ext:deno_fetch/21_formdata.js");
const { Blob, File } = core.loadExtScript("ext:deno_web/09_file.js");
const { Request, Response } = core.loadExtScript("ext:isopod_fetch/responses.js");
const { fetch } = core.loadExtScript("ext:isopod_fetch/fetch.js");
const { connect } = core.loadExtScript("ext:isopod_sockets/sockets.js");
const { D1Database } = core.loadExtScript("ext:isopod_sql/sql.js");

Object.assign(globalThis, {
  AbortController, Blob, D1Database, File, FormData, Headers, ReadableStream, Request, Response, TextDecoder, TextEncoder, URL, URLSearchParams, connect, fetch, setTimeout,
});
globalThis.thrown = async (f) => {
  try {
    await f();
  } catch (error) {
    return { name: error?.name, message: error?.message, cause: error?.cause?.message ?? null };
  }
  return null;
};
