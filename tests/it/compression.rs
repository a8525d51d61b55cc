//! `CompressionStream` and `DecompressionStream`, specified by <https://compression.spec.whatwg.org/>.

use serde_json::Value;

use crate::program::Serving;
use crate::project::Project;

const SCRIPT: &str = r#"
    const through = async (stream, chunks) => {
        const writer = stream.writable.getWriter();
        const written = (async () => {
            for (const chunk of chunks) await writer.write(chunk);
            await writer.close();
        })();
        written.catch(() => {});
        const pieces = [];
        for await (const piece of stream.readable) pieces.push(piece);
        await written;
        return new Blob(pieces).bytes();
    };
    const outcome = (work) => work.then((bytes) => new TextDecoder().decode(bytes), (error) => error.constructor.name);
    const text = new TextEncoder().encode("the quick brown fox ".repeat(50));
    export default {
        async fetch() {
            const found = {};
            for (const format of ["deflate", "deflate-raw", "gzip", "brotli"]) {
                const packed = await through(new CompressionStream(format), [text.subarray(0, 100), text.subarray(100)]);
                const unpack = (...chunks) => outcome(through(new DecompressionStream(format), chunks));
                const damaged = packed.slice();
                damaged[damaged.length >> 1] ^= 0xff;
                found[format] = {
                    whole: (await unpack(packed)).length,
                    byByte: (await unpack(...Array.from(packed, (byte) => new Uint8Array([byte])))).length,
                    buffer: (await unpack(packed.buffer)).length,
                    truncated: await unpack(packed.subarray(0, -1)),
                    empty: await unpack(),
                    trailing: await unpack(packed, new Uint8Array(1)),
                    text: await unpack("text"),
                    // A wrong byte may decode to something valid, but never to the original.
                    damaged: (await unpack(damaged)) !== new TextDecoder().decode(text),
                };
            }
            found.format = await outcome((async () => new DecompressionStream("zip"))());
            return Response.json(found);
        },
    };
"#;

#[test]
fn every_format_round_trips_and_truncation_is_a_type_error() {
    let project = Project::new(&[("main.js", SCRIPT)]);
    let server = Serving::start(project.file("main.js"));
    let answer = server.get("/");
    let found: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    for format in ["deflate", "deflate-raw", "gzip", "brotli"] {
        let found = &found[format];
        for way in ["whole", "byByte", "buffer"] {
            assert_eq!(found[way], 1000, "{format}, {way}");
        }
        // "If the end of the compressed input has not been reached, then throw a TypeError"; "It is an error if there
        // is additional input data after" the end; a chunk that is not a BufferSource is a TypeError.
        for wrong in ["truncated", "empty", "trailing", "text"] {
            assert_eq!(found[wrong], "TypeError", "{format}, {wrong}");
        }
        assert_eq!(found["damaged"], true, "{format}");
    }
    assert_eq!(found["format"], "TypeError");
}
