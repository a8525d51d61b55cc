//! TCP connections of events: they end with them.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use isopod_runtime::WorkerTemplate;
use isopod_runtime::fetch::{FetchConfig, NetPolicy};
use serde_json::json;

use crate::common::{script, twice_on};

/// The first event leaves a connection open. It is closed before the second event can use it.
#[test]
fn a_connection_ends_with_its_event() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, ended) = sync_channel(2);
    thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut received = Vec::new();
            // A connection may end with a reset.
            let _ = stream.unwrap().read_to_end(&mut received);
            sender.send(String::from_utf8(received).unwrap()).unwrap();
        }
    });
    let source = format!(
        "import {{ connect }} from 'cloudflare:sockets';
         let socket, writer, calls = 0, late = 'pending';
         export async function call() {{
            if (calls++ === 0) {{
                socket = connect('127.0.0.1:{port}');
                writer = socket.writable.getWriter();
                await writer.write(new TextEncoder().encode('first'));
                socket.closed.then(() => late = 'closed', (error) => late = error.name);
                return 'open';
            }}
            const error = await writer.write(new Uint8Array(1)).then(() => 'written', (error) => error.name);
            const own = connect('127.0.0.1:{port}');
            await own.writable.getWriter().write(new TextEncoder().encode('second'));
            await own.close();
            return [error, late];
         }}"
    );
    let policy = NetPolicy::default().allow_private(true);
    let script = script(&source).fetch(FetchConfig::default().policy(Arc::new(policy)));
    let given = twice_on(WorkerTemplate::default(), script, "call");
    assert_eq!(given, [json!("open"), json!(["AbortError", "AbortError"])]);
    let received = [ended.recv().unwrap(), ended.recv().unwrap()];
    assert_eq!(received, ["first", "second"]);
}
