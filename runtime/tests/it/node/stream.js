// Checks of `node:stream`. https://nodejs.org/api/stream.html

import Stream, { Duplex, finished, PassThrough, pipeline, Readable, Transform, Writable } from "node:stream";
import { arrayBuffer, json, text } from "node:stream/consumers";
import { finished as finishedPromise, pipeline as pipelinePromise } from "node:stream/promises";
import { ReadableStream as WebReadable } from "node:stream/web";

const upper = () => new Transform({ transform: (chunk, _, done) => done(null, chunk.toString().toUpperCase()) });
const collect = (into) => new Writable({ write(chunk, _, done) { into.push(chunk.toString()); done(); } });

export const streams = () =>
  checks({
    "the default export": () => Stream.Readable === Readable && new Readable() instanceof Stream,
    "data and end": async () => {
      const seen = [];
      await new Promise((resolve) => Readable.from(["a", "b"]).on("data", (chunk) => seen.push(chunk)).on("end", resolve));
      return seen.join() === "a,b";
    },
    "pipe": async () => {
      const seen = [];
      const sink = collect(seen);
      Readable.from(["a", "b"]).pipe(upper()).pipe(sink);
      await finishedPromise(sink);
      return seen.join("") === "AB";
    },
    "pipeline": async () => {
      const seen = [];
      const error = await new Promise((resolve) => pipeline(Readable.from(["a"]), upper(), collect(seen), resolve));
      return error === undefined && seen.join("") === "A";
    },
    "pipeline of generators": async () => {
      const seen = [];
      await pipelinePromise(async function* () { yield "x"; yield "y"; }, async function* (source) { for await (const chunk of source) yield chunk + chunk; }, collect(seen));
      return seen.join() === "xx,yy";
    },
    "pipeline fails with the first error": async () => {
      const bad = new Transform({ transform: (chunk, _, done) => done(new Error("bad")) });
      return await pipelinePromise(Readable.from(["a"]), bad, collect([])).catch((error) => error.message) === "bad";
    },
    "async iteration": async () => {
      const seen = [];
      for await (const chunk of Readable.from([1, 2, 3])) seen.push(chunk);
      return seen.join() === "1,2,3";
    },
    "backpressure": async () => {
      const slow = new Writable({ highWaterMark: 2, write: (chunk, _, done) => setTimeout(done, 1) });
      const first = slow.write("a");
      const second = slow.write("bc");
      await new Promise((resolve) => slow.once("drain", resolve));
      return first && !second && slow.writableLength === 0;
    },
    "read": () => {
      const through = new PassThrough();
      through.write("abcdef");
      return through.read(3).toString() === "abc" && through.readableLength === 3;
    },
    "objectMode": async () => {
      const objects = new PassThrough({ objectMode: true });
      objects.end({ a: 1 });
      for await (const object of objects) return object.a === 1;
    },
    "destroy": async () => {
      const stream = new PassThrough();
      const seen = new Promise((resolve) => finished(stream, resolve));
      stream.destroy();
      return (await seen).code === "ERR_STREAM_PREMATURE_CLOSE" && stream.destroyed;
    },
    "an abort": async () => {
      const controller = new AbortController();
      const stream = new Readable({ read() {}, signal: controller.signal });
      const failed = new Promise((resolve) => stream.on("error", resolve));
      controller.abort();
      return (await failed).name === "AbortError";
    },
    "operators": async () => (await Readable.from([1, 2, 3, 4]).filter((x) => x % 2 === 0).map((x) => x * 2).toArray()).join() === "4,8",
    "compose and duplex": async () => {
      const doubled = Duplex.from(async function* (source) { for await (const chunk of source) yield `${chunk}${chunk}`; });
      return (await Readable.from(["a"]).compose(doubled).toArray()).join("") === "aa";
    },
    "to and from the Web's": async () => {
      const web = Readable.toWeb(Readable.from(["a", "b"]));
      const back = Readable.fromWeb(new Response("body").body);
      return web instanceof ReadableStream && (await new Response(web.pipeThrough(new TextEncoderStream())).text()) === "ab" && await text(back) === "body" && WebReadable === ReadableStream;
    },
  });

export const consumers = () =>
  checks({
    "text": async () => await text(Readable.from(["a", "b"])) === "ab",
    "json": async () => (await json(Readable.from(['{"a":', "1}"]))).a === 1,
    "arrayBuffer": async () => (await arrayBuffer(Readable.from([Buffer.from("abc")]))).byteLength === 3,
    "setEncoding": async () => {
      const stream = Readable.from([Buffer.from([0xe2, 0x82]), Buffer.from([0xac])]).setEncoding("utf8");
      let all = "";
      for await (const chunk of stream) all += chunk;
      return all === "€";
    },
  });
