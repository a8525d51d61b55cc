import iconv from "iconv-lite";

export default {
  fetch: () =>
    Response.json([
      iconv.decode(Buffer.from([0xe9, 0x80]), "windows-1252"),
      iconv.encode("あ", "shift_jis").toString("hex"),
      iconv.encodingExists("gbk"),
    ]),
};
