// Checks of `node:fs` and `node:fs/promises`: https://nodejs.org/api/fs.html
// What is there is that of Workers: https://developers.cloudflare.com/workers/runtime-apis/nodejs/fs/

import fs, { constants, createReadStream, createWriteStream, readFileSync, writeFileSync } from "node:fs";
import * as promises from "fs/promises";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

const code = (act) => thrown(act)?.code;
const codeOf = (promise) => promise.then(() => "fulfilled", (error) => error.code);
const calledBack = (call) => new Promise((resolve) => call((...results) => resolve(results)));
const text = (path) => readFileSync(path, "utf8");

export const files = () =>
  checks({
    "a file is written and read": () => {
      writeFileSync("/tmp/a.txt", "Grüße");
      const bytes = readFileSync("/tmp/a.txt");
      return Buffer.isBuffer(bytes) && bytes.length === 7 && text("/tmp/a.txt") === "Grüße" && readFileSync("/tmp/a.txt", { encoding: "hex" }) === "4772c3bcc39f65";
    },
    "all kinds of data": () => {
      writeFileSync("/tmp/data", new Uint16Array([0x6261]));
      fs.appendFileSync("/tmp/data", new DataView(new ArrayBuffer(1)));
      fs.appendFileSync("/tmp/data", "YWI=", "base64");
      return readFileSync("/tmp/data", "latin1") === "ab\0ab" && code(() => writeFileSync("/tmp/data", 5)) === "ERR_INVALID_ARG_TYPE";
    },
    "URLs and buffers are paths": () => {
      writeFileSync(new URL("file:///tmp/by%20url"), "url");
      return text(Buffer.from("/tmp/by url")) === "url";
    },
    "a part of a file": () => {
      const fd = fs.openSync("/tmp/part", "w+");
      const written = fs.writeSync(fd, "0123456789") + fs.writeSync(fd, Buffer.from("ab"), 0, 2, 4);
      const into = Buffer.alloc(4, ".");
      const read = fs.readSync(fd, into, 1, 3, 3);
      fs.ftruncateSync(fd, 6);
      const size = fs.fstatSync(fd).size;
      fs.closeSync(fd);
      return written === 12 && read === 3 && String(into) === ".3ab" && size === 6 && text("/tmp/part") === "0123ab" && code(() => fs.readSync(fd, into)) === "EBADF" && code(() => fs.closeSync(fd)) === "EBADF";
    },
    "positions": () => {
      writeFileSync("/tmp/positions", "abcdef");
      const fd = fs.openSync("/tmp/positions", "r+");
      const one = Buffer.alloc(2);
      const take = (position) => (fs.readSync(fd, one, { position }), String(one));
      const taken = [take(null), take(4), take(null)];
      fs.writeSync(fd, "!");
      fs.closeSync(fd);
      return taken.join() === "ab,ef,cd" && text("/tmp/positions") === "abcd!f";
    },
    "a file that grows is zero between": () => {
      writeFileSync("/tmp/sparse", "secret");
      fs.truncateSync("/tmp/sparse", 2);
      fs.truncateSync("/tmp/sparse", 6);
      return text("/tmp/sparse") === "se\0\0\0\0";
    },
    "appending": () => {
      writeFileSync("/tmp/log", "1");
      const fd = fs.openSync("/tmp/log", "a+");
      fs.writeSync(fd, "2", 0);
      fs.closeSync(fd);
      return text("/tmp/log") === "12";
    },
    "vectors": () => {
      const fd = fs.openSync("/tmp/vectors", "w+");
      const written = fs.writevSync(fd, [Buffer.from("abc"), Buffer.from("de")]);
      const into = [Buffer.alloc(2), Buffer.alloc(4)];
      return written === 5 && fs.readvSync(fd, into, 1) === 4 && String(into[0]) === "bc" && into[1].toString("latin1") === "de\0\0";
    },
    "flags": () => {
      writeFileSync("/tmp/flags", "old");
      return code(() => fs.openSync("/tmp/flags", "wx")) === "EEXIST" && code(() => fs.openSync("/tmp/none", "r+")) === "ENOENT" && code(() => fs.openSync("/tmp/flags", "q")) === "ERR_INVALID_ARG_VALUE" && code(() => fs.writeSync(fs.openSync("/tmp/flags"), "a")) === "EBADF" && code(() => fs.openSync("/tmp/flags", constants.O_RDONLY | constants.O_DIRECTORY)) === "ENOTDIR";
    },
    "properties": () => {
      writeFileSync("/tmp/stats", "12345", { mode: 0o600 });
      fs.utimesSync("/tmp/stats", 1, new Date(2000));
      const stats = fs.statSync("/tmp/stats");
      const big = fs.statSync("/tmp/stats", { bigint: true });
      fs.chmodSync("/tmp/stats", "0644");
      return stats instanceof fs.Stats && stats.isFile() && !stats.isDirectory() && stats.size === 5 && (stats.mode & 0o777) === 0o600 && stats.mtimeMs === 2000 && stats.atime.getTime() === 1000 && stats.nlink === 1 && big.mtimeNs === 2_000_000_000n && big.size === 5n && (fs.statSync("/tmp/stats").mode & 0o777) === 0o644;
    },
    "what is not there": () => !fs.existsSync("/tmp/none") && !fs.existsSync(5) && fs.existsSync("/tmp") && fs.statSync("/tmp/none", { throwIfNoEntry: false }) === undefined && code(() => fs.accessSync("/tmp/none")) === "ENOENT",
    "copies": () => {
      writeFileSync("/tmp/original", "content");
      fs.copyFileSync("/tmp/original", "/tmp/copy");
      fs.appendFileSync("/tmp/original", "!");
      return text("/tmp/copy") === "content" && code(() => fs.copyFileSync("/tmp/original", "/tmp/copy", constants.COPYFILE_EXCL)) === "EEXIST";
    },
    // https://nodejs.org/api/errors.html#class-systemerror
    "an error says what failed": () => {
      const error = thrown(() => readFileSync("/tmp/missing/file"));
      return error instanceof Error && error.message === "ENOENT: no such file or directory, open '/tmp/missing/file'" && error.code === "ENOENT" && error.errno === -2 && error.syscall === "open" && error.path === "/tmp/missing/file";
    },
    "an error names both paths": () => thrown(() => fs.renameSync("/tmp/none", "/tmp/other")).message === "ENOENT: no such file or directory, rename '/tmp/none' -> '/tmp/other'",
    "limits of paths and files": () => {
      const fd = fs.openSync("/tmp/large", "w");
      return code(() => readFileSync(`/tmp/${"a".repeat(4096)}`)) === "ENAMETOOLONG" && code(() => readFileSync("/tmp" + "/a".repeat(48))) === "ENAMETOOLONG" && code(() => fs.writeSync(fd, "a", 128 * 1024 * 1024)) === "EFBIG" && code(() => fs.truncateSync("/tmp/large", 2 ** 40)) === "EFBIG" && fs.statSync("/tmp/large").size === 0;
    },
    "too many open files": () => {
      const open = [];
      const failed = code(() => {
        for (;;) open.push(fs.openSync("/dev/null"));
      });
      open.forEach((fd) => fs.closeSync(fd));
      return failed === "EMFILE" && open.length > 1000 && fs.openSync("/dev/null") > 2;
    },
    "null bytes": () => code(() => readFileSync("/tmp/a\0b")) === "ERR_INVALID_ARG_VALUE",
  });

export const folders = () =>
  checks({
    "folders": () => {
      const first = fs.mkdirSync("/tmp/a/b/c", { recursive: true });
      writeFileSync("/tmp/a/b/file", "");
      writeFileSync("/tmp/a/b/c/deep", "");
      const entries = fs.readdirSync("/tmp/a/b", { withFileTypes: true });
      return first === "/tmp/a" && fs.mkdirSync("/tmp/a/b/c", { recursive: true }) === undefined && fs.readdirSync("/tmp/a/b").join() === "c,file" && entries[0] instanceof fs.Dirent && entries[0].isDirectory() && entries[1].isFile() && entries[1].parentPath === "/tmp/a/b" && fs.readdirSync("/tmp/a", { recursive: true }).join() === "b,b/c,b/file,b/c/deep" && Buffer.isBuffer(fs.readdirSync("/tmp/a", "buffer")[0]);
    },
    "what is in the way": () => {
      fs.mkdirSync("/tmp/way/in", { recursive: true });
      writeFileSync("/tmp/way/file", "");
      return [
        () => fs.mkdirSync("/tmp/way"),
        () => fs.mkdirSync("/tmp/none/a"),
        () => fs.mkdirSync("/tmp/way/file/a", { recursive: true }),
        () => fs.rmdirSync("/tmp/way"),
        () => fs.rmdirSync("/tmp/way/file"),
        () => fs.unlinkSync("/tmp/way"),
        () => readFileSync("/tmp/way"),
        () => writeFileSync("/tmp/way", ""),
        () => readFileSync("/tmp/way/file/"),
        () => fs.readdirSync("/tmp/way/file"),
        () => fs.rmSync("/tmp/way"),
        () => fs.rmSync("/tmp/none"),
        () => fs.renameSync("/tmp/way", "/tmp/way/in/it"),
      ].map(code).join() === "EEXIST,ENOENT,ENOTDIR,ENOTEMPTY,ENOTDIR,EISDIR,EISDIR,EISDIR,ENOTDIR,ENOTDIR,ERR_FS_EISDIR,ENOENT,EINVAL";
    },
    "removing": () => {
      fs.mkdirSync("/tmp/gone/deep", { recursive: true });
      writeFileSync("/tmp/gone/deep/file", "");
      fs.rmSync("/tmp/none", { force: true });
      fs.rmSync("/tmp/gone", { recursive: true });
      fs.mkdirSync("/tmp/empty");
      fs.rmdirSync("/tmp/empty");
      return !fs.existsSync("/tmp/gone") && !fs.existsSync("/tmp/empty");
    },
    "moving": () => {
      fs.mkdirSync("/tmp/from");
      writeFileSync("/tmp/from/file", "moved");
      writeFileSync("/tmp/replaced", "old");
      fs.renameSync("/tmp/from/file", "/tmp/replaced");
      fs.renameSync("/tmp/from", "/tmp/to");
      return text("/tmp/replaced") === "moved" && fs.readdirSync("/tmp/to").length === 0 && !fs.existsSync("/tmp/from");
    },
    "links": () => {
      writeFileSync("/tmp/target", "content");
      fs.symlinkSync("target", "/tmp/symbolic");
      fs.linkSync("/tmp/target", "/tmp/hard");
      fs.symlinkSync("/tmp", "/tmp/folder");
      fs.symlinkSync("loop", "/tmp/loop");
      fs.symlinkSync("later", "/tmp/dangling");
      writeFileSync("/tmp/dangling", "made");
      fs.appendFileSync("/tmp/hard", "!");
      return text("/tmp/symbolic") === "content!" && fs.statSync("/tmp/target").nlink === 2 && fs.lstatSync("/tmp/symbolic").isSymbolicLink() && fs.readlinkSync("/tmp/symbolic") === "target" && fs.realpathSync("/tmp/folder/folder/symbolic") === "/tmp/target" && fs.realpathSync.native("/tmp/../tmp/./target") === "/tmp/target" && code(() => readFileSync("/tmp/loop")) === "ELOOP" && text("/tmp/later") === "made" && code(() => fs.readlinkSync("/tmp/target")) === "EINVAL" && code(() => fs.symlinkSync("a", "/tmp/hard")) === "EEXIST";
    },
    "temporary folders": () => {
      const one = fs.mkdtempSync("/tmp/made-");
      const { path, remove } = fs.mkdtempDisposableSync("/tmp/made-");
      remove();
      return /^\/tmp\/made-.{6}$/.test(one) && fs.statSync(one).isDirectory() && !fs.existsSync(path);
    },
    "trees are copied": () => {
      fs.mkdirSync("/tmp/tree/inner", { recursive: true });
      writeFileSync("/tmp/tree/inner/a", "a");
      writeFileSync("/tmp/tree/b", "b");
      fs.cpSync("/tmp/tree", "/tmp/trees/copy", { recursive: true, filter: (from) => !from.endsWith("/b") });
      return text("/tmp/trees/copy/inner/a") === "a" && !fs.existsSync("/tmp/trees/copy/b") && code(() => fs.cpSync("/tmp/tree", "/tmp/other")) === "ERR_FS_EISDIR" && code(() => fs.cpSync("/tmp/tree", "/tmp/tree/inner/it", { recursive: true })) === "ERR_FS_CP_EINVAL";
    },
    "an opened folder": async () => {
      fs.mkdirSync("/tmp/opened");
      writeFileSync("/tmp/opened/a", "");
      writeFileSync("/tmp/opened/b", "");
      const names = [];
      for await (const entry of await promises.opendir("/tmp/opened")) names.push(entry.name);
      const folder = fs.opendirSync("/tmp/opened");
      const first = folder.readSync();
      const [error, second] = await calledBack((done) => folder.read(done));
      folder.closeSync();
      return names.join() === "a,b" && first.name === "a" && error === null && second.name === "b" && code(() => folder.readSync()) === "ERR_DIR_CLOSED";
    },
  });

export const system = () =>
  checks({
    "the root": () => fs.readdirSync("/").join() === "bundle,dev,tmp",
    "devices": () => {
      const some = Buffer.alloc(100_000, 1);
      const read = (name) => fs.readSync(fs.openSync(`/dev/${name}`), some, 0, 70_000, null);
      const zeros = read("zero") === 70_000 && some[0] === 0 && some[69_999] === 0 && some[70_000] === 1;
      const random = read("random") === 70_000 && new Set(some.subarray(0, 70_000)).size === 256;
      writeFileSync("/dev/null", "gone");
      return zeros && random && text("/dev/null") === "" && fs.statSync("/dev/null").isCharacterDevice() && code(() => writeFileSync("/dev/full", "a")) === "ENOSPC" && code(() => readFileSync("/dev/zero")) === "ERR_FS_FILE_TOO_LARGE" && code(() => fs.unlinkSync("/dev/null")) === "EPERM" && fs.readdirSync("/dev").join() === "full,null,random,zero";
    },
    "the modules of the worker": () => {
      const main = fs.readdirSync("/bundle").find((name) => text(`/bundle/${name}`).includes("the modules of the worker"));
      return main !== undefined && fs.statSync(`/bundle/${main}`).size === readFileSync(`/bundle/${main}`).length && text(main) === text(`/bundle/${main}`) && process.cwd() === "/bundle";
    },
    "only /tmp can be changed": () => {
      const [main] = fs.readdirSync("/bundle");
      return [
        () => writeFileSync(`/bundle/${main}`, ""),
        () => writeFileSync("/bundle/new", ""),
        () => writeFileSync("/new", ""),
        () => fs.mkdirSync("/new"),
        () => fs.mkdirSync("/new/folder", { recursive: true }),
        () => fs.rmSync(`/bundle/${main}`),
        () => fs.rmSync("/tmp", { recursive: true }),
        () => fs.renameSync(`/bundle/${main}`, "/tmp/main"),
        () => fs.renameSync("/tmp", "/bundle/tmp"),
        () => fs.linkSync(`/bundle/${main}`, "/tmp/main"),
        () => fs.symlinkSync("a", "/bundle/link"),
        () => fs.chmodSync(`/bundle/${main}`, 0o777),
        () => fs.utimesSync("/bundle", 1, 1),
        () => fs.truncateSync(`/bundle/${main}`),
        () => fs.accessSync(`/bundle/${main}`, constants.W_OK),
        () => fs.mkdtempSync("/bundle/a"),
      ].map(code).every((found) => found === "EPERM");
    },
    "files of the machine are not there": () => ["/etc/passwd", "/proc/self/environ", "/bundle/../etc/passwd", "/tmp/../../etc/passwd", "/dev/stdin"].every((path) => code(() => readFileSync(path)) === "ENOENT"),
    "what is not available says what to use": () => [() => fs.watch("/tmp"), () => fs.watchFile("/tmp", () => {}), () => fs.globSync("*")].map(thrown).every((error) => error.code === "ERR_METHOD_NOT_IMPLEMENTED") && thrown(() => fs.globSync("*")).message === "globSync() of node:fs is not available in workers; read folders with readdir()",
    "constants": () => fs.O_CREAT === undefined && constants.O_CREAT === 64 && fs.F_OK === 0 && fs.R_OK === 4 && fs.promises.constants === constants && fs.promises === promises.default,
  });

export const callbacks = () =>
  checks({
    "results": async () => {
      const [written] = await calledBack((done) => fs.writeFile("/tmp/a", "text", done));
      const [error, read] = await calledBack((done) => fs.readFile("/tmp/a", "utf8", done));
      const [, stats] = await calledBack((done) => fs.stat("/tmp/a", done));
      return written === null && error === null && read === "text" && stats.size === 4;
    },
    "errors": async () => {
      const [error] = await calledBack((done) => fs.readFile("/tmp/none", done));
      return error.code === "ENOENT" && code(() => fs.readFile("/tmp/none")) === "ERR_INVALID_ARG_TYPE" && code(() => fs.readFile(5.5, () => {})) === "ERR_INVALID_ARG_TYPE";
    },
    "callbacks are called later": async () => {
      const order = [];
      await new Promise((resolve) => {
        fs.access("/tmp", () => (order.push("called"), resolve()));
        order.push("returned");
      });
      return order.join() === "returned,called";
    },
    "two results": async () => {
      const [, fd] = await calledBack((done) => fs.open("/tmp/two", "w+", done));
      const [, bytesWritten, given] = await calledBack((done) => fs.write(fd, "abc", done));
      const [, bytesRead, buffer] = await calledBack((done) => fs.read(fd, { position: 1 }, done));
      const promised = await promisify(fs.read)(fd, Buffer.alloc(2), 0, 2, 0);
      const closed = await calledBack((done) => fs.close(fd, done));
      return bytesWritten === 3 && given === "abc" && bytesRead === 2 && buffer.toString("latin1", 0, 2) === "bc" && promised.bytesRead === 2 && String(promised.buffer) === "ab" && closed[0] === null;
    },
    "exists": async () => (await calledBack((done) => fs.exists("/tmp", done)))[0] === true && await promisify(fs.exists)("/none") === false,
  });

export const handles = () =>
  checks({
    "promises": async () => {
      await promises.writeFile("/tmp/p", "text");
      await promises.appendFile("/tmp/p", "!");
      const stats = await promises.stat("/tmp/p");
      return await promises.readFile("/tmp/p", "utf8") === "text!" && stats.size === 5 && await codeOf(promises.readFile("/tmp/none")) === "ENOENT" && await codeOf(promises.access("/tmp/none")) === "ENOENT" && await codeOf(promises.readFile(5.5)) === "ERR_INVALID_ARG_TYPE";
    },
    "what iterables give": async () => {
      await promises.writeFile("/tmp/iterable", (async function* () {
        yield "a";
        yield Buffer.from("b");
      })());
      return await promises.readFile("/tmp/iterable", "latin1") === "ab";
    },
    "an aborted signal": async () => (await promises.readFile("/tmp/p", { signal: AbortSignal.abort() }).catch((error) => error)).name === "AbortError",
    "a handle": async () => {
      const handle = await promises.open("/tmp/handle", "w+");
      const { bytesWritten } = await handle.write("0123456789");
      const { bytesRead, buffer } = await handle.read({ position: 2, length: 3 });
      await handle.truncate(5);
      const { size } = await handle.stat();
      await handle.writev([Buffer.from("ab")], 0);
      const content = await promises.readFile("/tmp/handle", "utf8");
      let closed = 0;
      handle.on("close", () => closed++);
      await handle.close();
      return bytesWritten === 10 && bytesRead === 3 && buffer.toString("latin1", 0, 3) === "234" && size === 5 && content === "ab234" && closed === 1 && handle.fd === -1 && await codeOf(handle.read()) === "EBADF" && await handle.close() === undefined;
    },
    "lines": async () => {
      writeFileSync("/tmp/lines", "one\ntwo\r\nthree");
      const lines = [];
      for await (const line of (await promises.open("/tmp/lines")).readLines()) lines.push(line);
      return lines.join() === "one,two,three";
    },
    "a web stream": async () => {
      writeFileSync("/tmp/web", "x".repeat(40_000));
      const handle = await promises.open("/tmp/web");
      const read = await new Response(handle.readableWebStream()).text();
      await handle.close();
      return read.length === 40_000;
    },
    "a blob": async () => await (await fs.openAsBlob("/tmp/web", { type: "text/plain" })).slice(0, 3).text() === "xxx",
  });

export const streams = () =>
  checks({
    "a file is streamed to another": async () => {
      writeFileSync("/tmp/in", "0123456789".repeat(20_000));
      await pipeline(createReadStream("/tmp/in"), createWriteStream("/tmp/out"));
      return text("/tmp/out") === text("/tmp/in");
    },
    "a part": async () => {
      let read = "";
      for await (const chunk of createReadStream("/tmp/in", { start: 3, end: 6, encoding: "utf8" })) read += chunk;
      return read === "3456";
    },
    "classes": () => createReadStream("/dev/null") instanceof fs.ReadStream && createWriteStream("/dev/null") instanceof fs.WriteStream,
    "an error is an event": async () => (await new Promise((resolve) => createReadStream("/tmp/none").on("error", resolve))).code === "ENOENT",
    "of a handle": async () => {
      const handle = await promises.open("/tmp/in");
      let length = 0;
      for await (const chunk of handle.createReadStream()) length += chunk.length;
      return length === 200_000 && handle.fd === -1;
    },
  });
