// Checks of `node:buffer`. https://nodejs.org/api/buffer.html

import buffer, { Buffer as Imported, constants, isUtf8, transcode } from "node:buffer";

export const buffers = () =>
  checks({
    "the global is the module's": () => Imported === Buffer && buffer.Buffer === Buffer && global.Buffer === Buffer,
    // The documentation's first examples.
    "alloc": () => Buffer.alloc(5, "a").toString() === "aaaaa" && Buffer.alloc(3).join() === "0,0,0",
    "from an array": () => Buffer.from([257, 257.5, -255, "1"]).join() === "1,1,1,1",
    "utf8": () => Buffer.from("tést").toString("hex") === "74c3a97374" && Buffer.from("tést", "latin1").length === 4,
    "hex": () => Buffer.from("1ag123", "hex").toString("hex") === "1a",
    "base64": () => Buffer.from("fhqwhgads", "utf8").toString("base64") === "Zmhxd2hnYWRz",
    "base64url": () => Buffer.from([251, 255]).toString("base64url") === "-_8" && Buffer.from("-_8", "base64url")[1] === 255,
    "utf16le": () => Buffer.from("é", "utf16le").join() === "233,0" && Buffer.from([0xac, 0x20]).toString("utf16le") === "€",
    "ascii": () => Buffer.from([0xe9]).toString("ascii") === "i",
    "invalid utf8": () => Buffer.from([0xff, 0x61]).toString() === "\ufffda",
    "is a Uint8Array": () => Buffer.from("a") instanceof Uint8Array && Buffer.isBuffer(Buffer.from("a")) && !Buffer.isBuffer(new Uint8Array(1)),
    "shares memory": () => {
      const all = Buffer.from("abc");
      all.subarray(1, 2)[0] = 120;
      return `${all}` === "axc" && all.slice(1).buffer === all.buffer;
    },
    "concat": () => Buffer.concat([Buffer.from("a"), new Uint8Array([98])]).toString() === "ab" && Buffer.concat([Buffer.from("abc")], 2).length === 2,
    "compare": () => Buffer.compare(Buffer.from("ABC"), Buffer.from("ABCD")) === -1 && Buffer.from("a").equals(new Uint8Array([97])) && Buffer.from("abcd").compare(Buffer.from("bc"), 0, 2, 1, 3) === 0,
    "numbers": () => {
      const b = Buffer.alloc(8);
      b.writeUInt32BE(0x01020304, 0);
      b.writeInt16LE(-2, 4);
      return b.toString("hex") === "01020304feff0000" && b.readUInt16BE(0) === 0x0102 && b.readInt16LE(4) === -2 && b.readUIntBE(0, 3) === 0x010203;
    },
    "big numbers": () => {
      const b = Buffer.alloc(16);
      b.writeBigUInt64LE(0xdecafafecacefaden, 0);
      b.writeDoubleBE(0.1, 8);
      return b.readBigUInt64LE(0) === 0xdecafafecacefaden && b.readDoubleBE(8) === 0.1;
    },
    "search": () => {
      const b = Buffer.from("this is a buffer");
      return b.indexOf("is") === 2 && b.lastIndexOf("is") === 5 && b.includes(Buffer.from("buffer")) && b.indexOf(98) === 10;
    },
    "write, fill, copy, swap": () => {
      const b = Buffer.alloc(6);
      b.write("abc", 1);
      b.copy(b, 4, 1, 3);
      return b.toString("latin1") === "\0abcab" && Buffer.from([1, 2, 3, 4]).swap16().join() === "2,1,4,3" && Buffer.alloc(5).fill("ab").toString() === "ababa";
    },
    "JSON": () => JSON.stringify(Buffer.from([1, 2])) === '{"type":"Buffer","data":[1,2]}' && Buffer.from(JSON.parse(JSON.stringify(Buffer.from([1, 2])))).join() === "1,2",
    "byteLength": () => Buffer.byteLength("½ + ¼ = ¾") === 12 && Buffer.byteLength("abcd", "hex") === 2,
    "errors have codes": () => {
      const of = (act) => thrown(act).code;
      const codes = [
        of(() => Buffer.from(5)),
        of(() => Buffer.alloc(-1)),
        of(() => Buffer.alloc(1).readUInt8(1)),
        of(() => Buffer.alloc(0).readUInt8(0)),
        of(() => Buffer.from("a").toString("nope")),
      ];
      const expected = "ERR_INVALID_ARG_TYPE,ERR_OUT_OF_RANGE,ERR_OUT_OF_RANGE,ERR_BUFFER_OUT_OF_BOUNDS,ERR_UNKNOWN_ENCODING";
      return codes.join() === expected || codes.join();
    },
    "transcode": () => transcode(Buffer.from("€"), "utf8", "ascii").toString("hex") === "3f",
    "isUtf8": () => isUtf8(Buffer.from("é")) && !isUtf8(Buffer.from([0xe9])) && constants.MAX_LENGTH > 0,
    "a pool cannot be transferred": () => thrown(() => structuredClone(0, { transfer: [Buffer.from("a").buffer] })) !== undefined,
    "a body": async () => await new Response(Buffer.from("body")).text() === "body",
  });
