//! Types of WebAssembly modules, which V8 keeps for as long as the process lives: it aborts at two million.

use crate::program::Serving;
use crate::project::Project;

const SCRIPT: &str = r#"
    const leb = (n) => {
        const out = [];
        do {
            out.push((n & 127) | (n > 127 ? 128 : 0));
            n >>>= 7;
        } while (n);
        return out;
    };
    // A module of functions' types with 24 parameters, the bits of a number from `first` on.
    function moduleOf(count, first) {
        const BITS = 24;
        const head = leb(count);
        const section = new Uint8Array(head.length + count * (BITS + 3));
        section.set(head);
        for (let i = 0, at = head.length; i < count; i++) {
            section[at++] = 0x60;
            section[at++] = BITS;
            for (let bit = 0; bit < BITS; bit++) section[at++] = ((first + i) >> bit) & 1 ? 0x7f : 0x7e;
            section[at++] = 0;
        }
        return new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, ...leb(section.length), ...section]);
    }
    const ways = {
        module: (bytes) => new WebAssembly.Module(bytes),
        validate: (bytes) => WebAssembly.validate(bytes),
        compile: (bytes) => WebAssembly.compile(bytes),
        instantiate: (bytes) => WebAssembly.instantiate(bytes.buffer),
        compileStreaming: (bytes) =>
            WebAssembly.compileStreaming(new Response(bytes, { headers: { "content-type": "application/wasm" } })),
        instantiateStreaming: (bytes) =>
            WebAssembly.instantiateStreaming(
                Promise.resolve(new Response(bytes, { headers: { "content-type": "application/wasm" } })),
            ),
    };
    async function fetch(request) {
        const url = new URL(request.url);
        const way = url.pathname.slice(1);
        const first = Number(url.searchParams.get("first"));
        try {
            if (way === "tag") {
                for (let i = first; i < first + 400; i++) {
                    const parameters = [...i.toString(2)].map((bit) => (bit === "1" ? "i32" : "i64"));
                    new WebAssembly.Tag({ parameters });
                }
                return new Response("made");
            }
            await ways[way](moduleOf(400, first));
            return new Response("made");
        } catch (error) {
            return new Response(`${error.name}: ${error.message}`);
        }
    }
    export default { fetch };
"#;

fn serve(settings: &str) -> (Serving, Project) {
    let configuration = format!("main = 'main.js'\n{settings}\n[limits]\nwasm_types = 1000\n");
    let project = Project::new(&[("isopod.toml", &*configuration), ("main.js", SCRIPT)]);
    (Serving::start(project.path()), project)
}

#[test]
fn webassembly_types_are_limited() {
    let ways = [
        "module",
        "validate",
        "compile",
        "instantiate",
        "compileStreaming",
        "instantiateStreaming",
        "tag",
    ];
    for way in ways {
        // Each event has an isolate of its own.
        let (server, _project) = serve("policy = 'per_request'");
        let make = |first: u32| server.get(&format!("/{way}?first={first}")).body;
        assert_eq!([make(1024), make(2048)], ["made", "made"], "{way}");
        let refused = make(4096);
        assert!(
            refused.starts_with("QuotaExceededError") && refused.contains("`limits.wasm_types`"),
            "{way}: {refused}"
        );
        // Known ones add nothing.
        assert_eq!(make(2048), "made", "{way}");
    }
}
