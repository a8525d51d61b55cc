import mime from "mime-types";

export default { fetch: () => Response.json([mime.lookup("a/b.svg"), mime.contentType("index.html"), mime.extension("image/png")]) };
