//! Data passed between workers in processes of their own, workers in threads, and clients.

use crate::frames::{Frame, Socket};
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const BACK: &str = "import { WorkerEntrypoint, RpcTarget, DurableObject } from 'cloudflare:workers';
    let disposed = 0;
    class Counter extends RpcTarget {
        #count = 0;
        add(n) { return this.#count += n; }
        next() { return new Counter(); }
        [Symbol.dispose]() { disposed++; }
    }
    export default class extends WorkerEntrypoint {
        about() { return this.ctx.props; }
        counter() { return new Counter(); }
        async each(list, f) { const got = []; for (const one of list) got.push(await f(one)); return got; }
        upper(stream) { return stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TransformStream({
            transform: (text, to) => to.enqueue(text.toUpperCase()) })).pipeThrough(new TextEncoderStream()); }
        refuse() { throw new RangeError('too far'); }
        disposed() { return disposed; }
        echo(message) { return { message, at: new Date(0), map: new Map([[1, new Uint8Array([2])]]) }; }
        fetch(request) {
            const [client, server] = Object.values(new WebSocketPair());
            server.accept();
            server.addEventListener('message', ({ data }) => server.send(data));
            server.addEventListener('close', ({ code, reason }) => console.log('the service saw', code, reason));
            return new Response(null, { status: 101, webSocket: client });
        }
    }
    export class Room extends DurableObject {
        async visit() {
            const visits = 1 + ((await this.ctx.storage.get('visits')) ?? 0);
            await this.ctx.storage.put('visits', visits);
            return visits;
        }
        async ring() { await this.ctx.storage.setAlarm(Date.now() + 10); }
        async alarm() { await this.ctx.storage.put('rang', true); }
        rang() { return this.ctx.storage.get('rang'); }
    }";

const FRONT: &str = "const steps = {
        props: ({ BACK }) => BACK.about(),
        async values({ BACK }) {
            const { message, at, map } = await BACK.echo({ a: [1n, 'two'].length });
            return [message, at.getTime(), [...map.get(1)]];
        },
        async target({ BACK }) {
            using counter = await BACK.counter();
            const sums = [await counter.add(2), await counter.add(3), await BACK.counter().next().add(7)];
            counter[Symbol.dispose]();
            while (await BACK.disposed() < 1) await new Promise((done) => setTimeout(done, 5));
            return sums;
        },
        functions: ({ BACK }) => BACK.each([1, 2, 3], (n) => n * n),
        async streams({ BACK }) {
            const answer = await BACK.upper(new Response('x'.repeat(500000)).body);
            const text = await new Response(answer).text();
            return [text.length, text.slice(0, 3)];
        },
        error: ({ BACK }) => BACK.refuse().catch((error) => [error.name, error.message, error.remote]),
        async missing({ BACK }) { return BACK.nothing().catch((error) => error.message); },
        async socket({ BACK }) {
            const { webSocket } = await BACK.fetch('https://back/', { headers: { upgrade: 'websocket' } });
            const got = [];
            const closed = new Promise((resolve) => webSocket.addEventListener('close', ({ code }) => resolve(code)));
            const three = new Promise((resolve) => webSocket.addEventListener('message', ({ data }) => {
                got.push(data.length);
                if (got.length === 3) resolve();
            }));
            webSocket.accept();
            for (const length of [1, 70000, 500000]) webSocket.send('y'.repeat(length));
            await three;
            webSocket.close(3001, 'enough');
            return [got, await closed];
        },
        async object({ ROOMS }) {
            const room = ROOMS.getByName('lobby');
            const visits = [await room.visit(), await room.visit()];
            await room.ring();
            while (!await room.rang()) await new Promise((done) => setTimeout(done, 5));
            return visits;
        },
        async put() {
            const response = new Response('kept', { headers: { 'cache-control': 'max-age=60' } });
            await caches.default.put('https://x/kept', response);
            return (await caches.default.match('https://x/kept')).text();
        },
        async cached() { return (await caches.default.match('https://x/kept'))?.text() ?? null; },
        async uncached() { return [await caches.default.delete('https://x/kept'), await caches.default.delete('https://x/kept')]; },
        point({ POINTS }) { POINTS.writeDataPoint({ blobs: ['a'], doubles: [1], indexes: ['i'] }); return 'written'; },
        async own(env, ctx) { return ctx.exports.Named.add(1, 2); },
    };
    import { WorkerEntrypoint } from 'cloudflare:workers';
    export class Named extends WorkerEntrypoint { add(a, b) { return a + b; } }
    export default { async fetch(request, env, ctx) {
        if (request.headers.get('upgrade')) return env.BACK.fetch(request);
        return Response.json(await steps[new URL(request.url).pathname.slice(1)](env, ctx) ?? null);
    } };";

/// A server with a front in the one place and a back in the other.
fn serve(front: &str, back: &str) -> (Project, Serving) {
    let configuration = format!(
        "
        threads = 4
        routes = [{{ path = '/*', worker = 'front' }}]
        [workers.back]
        main = 'back.js'
        isolation = '{back}'
        durable_objects = [{{ binding = 'ROOMS', class_name = 'Room' }}]
        [workers.front]
        main = 'front.js'
        isolation = '{front}'
        services = [{{ binding = 'BACK', service = 'back', props = {{ from = 'front' }} }}]
        analytics_engine_datasets = [{{ binding = 'POINTS' }}]
        durable_objects = [{{ binding = 'ROOMS', class_name = 'Room', script_name = 'back' }}]
        "
    );
    let project = Project::new(&[("isopod.toml", &*configuration), ("front.js", FRONT), ("back.js", BACK)]);
    let server = Serving::start(project.path());
    (project, server)
}

const PLACES: [(&str, &str); 3] = [("process", "thread"), ("thread", "process"), ("process", "process")];

#[test]
fn calls_and_bindings_mean_the_same_in_threads_and_in_processes() {
    for (front, back) in PLACES {
        let (_project, server) = serve(front, back);
        for (step, wanted) in [
            ("props", r#"{"from":"front"}"#),
            ("values", r#"[{"a":2},0,[2]]"#),
            ("target", "[2,5,7]"),
            ("functions", "[1,4,9]"),
            ("streams", r#"[500000,"XXX"]"#),
            ("error", r#"["RangeError","too far",true]"#),
            (
                "missing",
                r#""The RPC receiver does not implement the method \"nothing\".""#,
            ),
            ("socket", "[[1,70000,500000],3001]"),
            ("object", "[1,2]"),
            ("put", r#""kept""#),
            ("cached", r#""kept""#),
            ("uncached", "[true,false]"),
            ("cached", "null"),
            ("point", r#""written""#),
            ("own", "3"),
        ] {
            let answer = server.get(&format!("/{step}"));
            let got = (answer.status, answer.body.as_str());
            assert_eq!(got, (200, wanted), "{step} of a {front} with a {back}");
        }
        until("the service is told", || {
            server.log().contains("the service saw 3001 enough").then_some(())
        });
    }
}

#[test]
fn a_client_s_socket_passes_through_cells() {
    for (front, back) in PLACES {
        let (_project, mut server) = serve(front, back);
        let mut socket = Socket::open(server.address, "/");
        for length in [1, 100_000, 1 << 20] {
            let bytes = vec![7; length];
            socket.send_bytes(&bytes);
            assert_eq!(socket.read(), Frame::Binary(bytes));
        }
        until("both workers are kept by a session", || {
            (server.metric_over_all("isopod_sessions") == 2).then_some(())
        });
        socket.close(3002, "bye");
        assert_eq!(socket.read(), Frame::close(3002, "bye"));
        until("no session is left", || {
            (server.metric_over_all("isopod_sessions") == 0).then_some(())
        });
        let mut socket = Socket::open(server.address, "/");
        socket.send_text("hello");
        assert_eq!(socket.read(), Frame::text("hello"));
        server.signal("INT");
        assert_eq!(socket.read(), Frame::close(1001, "the server is shutting down"));
        socket.close(1001, "");
        until("the server has ended", || (server.exit_code() == Some(0)).then_some(()));
    }
}

#[test]
fn a_cache_survives_the_cell_that_stored_in_it() {
    let (_project, server) = serve("process", "process");
    assert_eq!(server.get("/put").body, r#""kept""#);
    for pid in crate::cells::cells(&server) {
        drop(
            std::process::Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status(),
        );
    }
    until("another worker answers", || {
        let answer = server.get("/cached");
        (answer.status == 200).then(|| assert_eq!(answer.body, r#""kept""#))
    });
}
