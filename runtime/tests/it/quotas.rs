//! Quotas, and what a script sees when it reaches them.

use std::rc::Rc;
use std::sync::{Arc, Mutex};

use isopod_ext::web::LogSink;
use isopod_runtime::deno_core::OpState;
use isopod_runtime::fetch::{FetchConfig, NetPolicy};
use isopod_runtime::handlers::FaultKind;
use isopod_runtime::quotas::Quotas;
use isopod_runtime::{Extend, Image, Limits, NewWorker, ScriptBuilder, WorkerTemplate};
use serde_json::{Value, json};

use crate::common::{call, fetch, get, script, twice_on};

/// `tried(f)` returns the name of the exception of `f`, or its result.
const TRIED: &str =
    "const told = (error) => [error.name, error.message.match(/`limits\\.[a-z0-9_]+`?/)?.[0] ?? error.message];
    const tried = async (f) => { try { return await f(); } catch (error) { return told(error); } };\n";

fn limited(source: &str, quotas: Quotas) -> ScriptBuilder {
    script(&format!("{TRIED}{source}")).limits(Limits::default().quotas(quotas))
}

fn exceeded(key: &str) -> Value {
    json!(["QuotaExceededError", format!("`limits.{key}`")])
}

// row 14
#[test]
fn a_million_timers_end_at_the_quota_and_the_worker_lives() {
    let source = "let set = 0;
        const many = () => { for (let i = 0; i < 1e6; i++) { setTimeout(() => {}, 1e6); set++; } };
        export async function f() {
            const wait = () => new Promise((resolve) => setTimeout(resolve, 1));
            await Promise.all([wait(), wait(), wait()]);
            const id = setInterval(() => {}, 1e6);
            clearInterval(id);
            return [await tried(many), set, await tried(() => AbortSignal.timeout(1e6))];
        }";
    let quotas = Quotas::default().timers(500);
    assert_eq!(
        call(limited(source, quotas), "f", vec![]).unwrap(),
        json!([exceeded("timers"), 500, exceeded("timers")])
    );
}

#[test]
fn a_graph_that_expands_to_a_huge_tree_is_refused() {
    let source = "export const f = () => { let a = [1]; for (let i = 0; i < 40; i++) a = [a, a]; return a; };
        export const sparse = () => new Array(2 ** 32 - 1);
        export const text = () => Array(1000).fill('x'.repeat(1e6));
        export const fine = () => ({ a: [1, 'b', null, { c: 1.5 }] });";
    for function in ["f", "sparse", "text"] {
        let fault = call(script(source), function, vec![]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Exception);
        assert!(
            fault.message.contains("`limits.message`"),
            "{function}: {}",
            fault.message
        );
    }
    let fine = call(script(source), "fine", vec![]).unwrap();
    assert_eq!(fine, json!({ "a": [1, "b", null, { "c": 1.5 }] }));
}

#[test]
fn the_requests_of_an_event_are_limited() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let source = format!(
        "const request = () => tried(() => fetch('http://{}/'));
        export const f = async () => {{
            const seen = [];
            for (let i = 0; i < 3; i++) seen.push((await request())[0]);
            return [...seen, await request()];
        }}",
        closed.unwrap()
    );
    let quotas = Quotas::default().subrequests(3);
    let policy = NetPolicy::default().allow_private(true);
    let script = limited(&source, quotas).fetch(FetchConfig::default().policy(Arc::new(policy)));
    let each = json!(["TypeError", "TypeError", "TypeError", exceeded("subrequests")]);
    assert_eq!(twice_on(WorkerTemplate::default(), script, "f"), [each.clone(), each]);
}

/// Collects what scripts log.
struct Listen(Arc<Mutex<Vec<String>>>);

impl Extend for Listen {
    fn prepare(&self, _worker: &NewWorker<'_>, state: &mut OpState) {
        let lines = self.0.clone();
        let sink: LogSink = Rc::new(move |_, text, _| lines.lock().unwrap().push(text.trim_end().to_owned()));
        state.put(sink);
    }
}

#[test]
fn the_log_output_of_an_event_is_limited() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let template = WorkerTemplate::new(Image::stock(), vec![Arc::new(Listen(lines.clone()))]).unwrap();
    let quotas = Quotas::default().log_lines(2);
    let source = "export const f = () => { for (let i = 0; i < 1000; i++) console.log(i); return null; }";
    twice_on(template, limited(source, quotas), "f");
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert_eq!(lines[..2], ["0", "1"]);
    assert!(lines[2].contains("`limits.log_lines`"), "{lines:?}");
    assert_eq!(lines[3..5], ["0", "1"]);
}

#[test]
fn wait_until_holds_as_many_promises_as_it_may() {
    let source = "export default { async fetch(request, env, ctx) {
            const many = () => { for (let i = 0; i < 10; i++) ctx.waitUntil(new Promise((r) => setTimeout(r, 1))); };
            return Response.json(await tried(many));
        } }";
    let quotas = Quotas::default().wait_until_promises(5);
    let (_, body) = fetch(limited(source, quotas), get("/")).unwrap();
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told, exceeded("wait_until_promises"));
}

#[test]
fn object_urls_and_streams_are_counted_together() {
    let source = "const blob = new Blob(['x']);
        export const f = async () => {
            const urls = [];
            const full = await tried(() => { for (;;) urls.push(URL.createObjectURL(blob)); });
            const still = await tried(() => URL.createObjectURL(blob));
            urls.forEach((url) => URL.revokeObjectURL(url));
            return [full, still, typeof URL.createObjectURL(blob)];
        }";
    let quotas = Quotas::default().handles(50);
    assert_eq!(
        call(limited(source, quotas), "f", vec![]).unwrap(),
        json!([exceeded("handles"), exceeded("handles"), "string"])
    );
}

#[test]
fn blobs_and_compressors_are_held_within_the_native_quota() {
    let source = "const MIB = 1 << 20; const kept = [];
        const blobs = () => { for (let i = 0; i < 10; i++) kept.push(new Blob([new Uint8Array(MIB)])); };
        const compressors = () => { for (let i = 0; i < 100; i++) kept.push(new CompressionStream('gzip')); };
        const zipped = (text) => new Response(new Blob([text]).stream()
            .pipeThrough(new CompressionStream('gzip')).pipeThrough(new DecompressionStream('gzip'))).text();
        export const f = async () => {
            const round = [];
            for (let i = 0; i < 50; i++) round.push(await zipped('text'));
            const out = [new Set(round).size, await tried(blobs), kept.length];
            for (let i = 0; i < 100; i++) kept.push(kept[0].slice(0, MIB / 2));
            return [...out, await tried(compressors)];
        }";
    let quotas = Quotas::default().native_bytes(4 << 20);
    let [same, blobs, kept, compressors] = serde_json::from_value(call(limited(source, quotas), "f", vec![]).unwrap())
        .map(|all: [Value; 4]| all)
        .unwrap();
    assert_eq!(
        [same, blobs, compressors],
        [json!(1), exceeded("native"), exceeded("native")]
    );
    assert_eq!(
        kept,
        json!(3),
        "the string blobs of before are garbage, and not all collected"
    );
}

/// Each would hold the one before, so that reading and dropping them would recurse.
#[test]
fn slices_of_slices_of_a_blob_do_not_nest() {
    let source = "export const f = async () => {
            let blob = new Blob(['abc']);
            for (let i = 0; i < 20_000; i++) blob = (i % 2 ? structuredClone(blob) : blob).slice(0, 2);
            return [await blob.text(), blob.size];
        }";
    let told = call(limited(source, Quotas::default()), "f", vec![]).unwrap();
    assert_eq!(told, json!(["ab", 2]));
}

#[test]
fn parts_of_blobs_that_share_their_bytes_are_held_within_the_native_quota() {
    let source = "const blob = new Blob(['x']); const kept = [];
        const describe = blob[Symbol.for('Deno.core.hostObject')];
        export const f = async () => [
            await tried(() => { for (;;) describe.call(blob); }),
            await tried(() => { for (;;) kept.push(blob.slice()); }),
            await tried(() => { for (;;) kept.push(structuredClone(blob)); }),
        ];";
    let quotas = Quotas::default().native_bytes(1 << 20);
    assert_eq!(
        call(limited(source, quotas), "f", vec![]).unwrap(),
        json!([exceeded("native"), exceeded("native"), exceeded("native")])
    );
}

#[test]
fn cryptography_waits_its_turn_and_costly_keys_are_refused() {
    let source = "const data = new Uint8Array(8);
        const digest = () => crypto.subtle.digest('SHA-256', data).then((d) => d.byteLength);
        const sly = (first, then) => { let asked = 0; return { get iterations() { return asked++ ? then : first; } }; };
        const derive = async (iterations) => {
            const key = await crypto.subtle.importKey('raw', data, 'PBKDF2', false, ['deriveBits']);
            const algorithm = { name: 'PBKDF2', hash: 'SHA-256', salt: data };
            Object.defineProperty(algorithm, 'iterations',
                typeof iterations === 'number' ? { value: iterations } : Object.getOwnPropertyDescriptor(iterations, 'iterations'));
            return (await crypto.subtle.deriveBits(algorithm, key, 128)).byteLength;
        };
        const rsa = (modulusLength) => crypto.subtle.generateKey({ name: 'RSA-OAEP', modulusLength,
            publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }, true, ['encrypt', 'decrypt']);
        export const f = async () => {
            const three = await Promise.all([tried(digest), tried(digest), tried(digest)]);
            return [three, await tried(digest), await tried(() => derive(1000)), await tried(() => derive(2000)),
                await tried(() => derive(sly(1000, 1e9))), await tried(() => rsa(16384)), crypto.subtle.digest.name];
        }";
    let quotas = Quotas::default().pending_ops(2).pbkdf2_iterations(1000);
    assert_eq!(
        call(limited(source, quotas), "f", vec![]).unwrap(),
        json!([
            [32, 32, exceeded("pending_ops")],
            32,
            16,
            exceeded("pbkdf2_iterations"),
            16,
            exceeded("rsa_bits"),
            "digest"
        ])
    );
}

#[test]
fn more_headers_than_can_be_sent_are_an_exception() {
    // The values of one name too, which hyper removes one by one. The bytes are those of Workers,
    // https://developers.cloudflare.com/workers/platform/limits/.
    for (count, name, value) in [
        (1_001, "`x-${i}`", "'v'"),
        (1_001, "'set-cookie'", "'a=1'"),
        (3, "'x-large'", "'v'.repeat(50_000)"),
        (1, "'content-type'", "'v'.repeat(150_000)"),
    ] {
        let headers = format!("Array.from({{ length: {count} }}, (_, i) => [{name}, {value}])");
        let source = format!("export default {{ fetch: () => new Response('', {{ headers: {headers} }}) }}");
        let fault = fetch(script(&source), get("/")).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Exception);
        assert!(
            fault.message.contains("too many headers: at most 1000"),
            "{}",
            fault.message
        );
        let source = format!(
            "export default {{ fetch: () => fetch('https://a.test/', {{ headers: {headers} }})
                .catch((error) => new Response(error.message)) }}"
        );
        let (_, message) = fetch(script(&source), get("/")).unwrap();
        assert!(message.contains("too many headers: at most 1000"), "{message}");
    }
}

#[test]
fn messages_that_wait_for_a_port_are_charged_until_they_are_received_or_the_port_is_closed() {
    let source = "const flood = (port) => { let n = 0; const bytes = new Uint8Array(1 << 20);
            try { for (;;) { port.postMessage(bytes); n++; } } catch (error) { return [n, ...told(error)]; } };
        export const f = async () => {
            const { port1, port2 } = new MessageChannel();
            const full = flood(port1);
            const receive = (count) => new Promise((resolve) => {
                let n = 0;
                port2.onmessage = () => { if (++n === count) resolve(n); };
            });
            const received = await receive(full[0]);
            const again = flood(port1)[0];
            await receive(again);
            port2.close();
            port1.postMessage(new Uint8Array(8 << 20));
            const other = new MessageChannel();
            const after = flood(other.port1)[0];
            other.port1.close();
            other.port2.close();
            const [back, courier] = [new MessageChannel(), new MessageChannel()];
            const through = new Promise((resolve) => { back.port1.onmessage = (event) => resolve(event.data); });
            courier.port2.onmessage = (event) => event.data.postMessage('through');
            courier.port1.postMessage(back.port2, [back.port2]);
            return [full, received, again, after, await through];
        };";
    let quotas = Quotas::default().native_bytes(4 << 20);
    let [full, received, again, after, through] =
        serde_json::from_value(call(limited(source, quotas), "f", vec![]).unwrap())
            .map(|all: [Value; 5]| all)
            .unwrap();
    assert_eq!(full, json!([3, "QuotaExceededError", "`limits.native`"]));
    assert_eq!([received, again, after], [3, 3, 3].map(|n| json!(n)));
    assert_eq!(through, json!("through"));
}

#[test]
fn a_long_error_message_is_cut() {
    let source = "export const f = () => { throw new Error('x'.repeat(1e7)); };";
    let fault = call(script(source), "f", vec![]).unwrap_err();
    let detail = fault.detail.unwrap();
    assert!(
        detail.contains("its text of 10000005 characters is too long for a stack trace"),
        "{detail}"
    );
    let lengths = [fault.message.len(), fault.thrown.unwrap().message.len()];
    assert!(
        lengths.iter().all(|length| (60_000..200_000).contains(length)),
        "{lengths:?}"
    );
}
