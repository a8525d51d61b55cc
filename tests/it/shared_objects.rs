//! Durable Objects of several processes that share a folder: calls reach the process that has the object, whichever they come to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::client::Connection;
use crate::frames::{Frame, Socket};
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const CONFIGURATION: &str = "name = 'rooms'
    main = 'worker.js'
    durable_objects = [{ binding = 'ROOMS', class_name = 'Room' }]
    limits.wall = '1m'";

/// `/METHOD?name=NAME` calls a method of a room, which tells its instance.
const WORKER: &str = r#"
    import { DurableObject, RpcTarget } from "cloudflare:workers";
    class Till extends RpcTarget {
        #sum = 0;
        add(n) { return this.#sum += n; }
    }
    export class Room extends DurableObject {
        instance = crypto.randomUUID();
        aborted = 0;
        about() { return this.instance; }
        async add() {
            const sum = (await this.ctx.storage.get("sum") ?? 0) + 1;
            await this.ctx.storage.put("sum", sum);
            return sum;
        }
        async with(each, stream) {
            const said = [];
            for (let n = 1; n <= 3; n++) said.push(await each(n));
            return { said, text: await new Response(stream).text() };
        }
        till() { return new Till(); }
        fail() { throw new RangeError("not today"); }
        aborts() { return this.aborted; }
        async circle(name, other) { return this.env.ROOMS.getByName(other).circle(other, name); }
        webSocketMessage(socket, message) {
            for (const other of this.ctx.getWebSockets()) other.send(`${message} of ${this.ctx.getWebSockets().length}`);
        }
        async fetch(request) {
            const { pathname } = new URL(request.url);
            if (pathname === "/socket") {
                const [client, server] = Object.values(new WebSocketPair());
                this.ctx.acceptWebSocket(server);
                return new Response(null, { status: 101, webSocket: client });
            }
            if (pathname === "/slow") {
                request.signal.addEventListener("abort", () => this.aborted++);
                await new Promise((done) => setTimeout(done, 50_000));
            }
            return new Response(request.body, { status: 201, headers: { "x-instance": this.instance } });
        }
    }
    const calls = {
        async with(room) {
            const stream = new Response("a stream").body;
            return room.with((n) => n * 10, stream);
        },
        async till(room) {
            using till = await room.till();
            return [await till.add(2), await till.add(3)];
        },
        async slow(room) {
            try { await room.fetch("http://room/slow", { signal: AbortSignal.timeout(100) }); } catch (error) { return error.name; }
        },
        circle: (room, name) => room.circle(name, name + name),
    };
    export default { async fetch(request, env) {
        const { pathname, searchParams } = new URL(request.url);
        const name = searchParams.get("name") ?? "a";
        const room = env.ROOMS.getByName(name);
        const method = pathname.slice(1);
        if (method === "socket" || method === "echo") return room.fetch(request);
        try {
            return Response.json(await (calls[method] ?? ((room) => room[method]()))(room, name) ?? null);
        } catch (error) {
            const { name, message, remote, retryable } = error;
            return Response.json({ name, message, remote, retryable }, { status: 400 });
        }
    } };"#;

fn project() -> Project {
    Project::new(&[("isopod.toml", CONFIGURATION), ("worker.js", WORKER)])
}

fn call(server: &Serving, path: &str) -> Json {
    let answer = server.get(path);
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{path}: {answer:?}"))
}

#[test]
fn a_call_reaches_the_process_that_has_the_object() {
    let project = project();
    let [one, two] = [(); 2].map(|()| Serving::start(project.path()));
    assert_eq!(call(&one, "/add"), json!(1));
    assert_eq!(call(&two, "/add"), json!(2));
    let instance = call(&one, "/about");
    assert_eq!(call(&two, "/about"), instance);
    // Others live in the process that was asked first.
    let other = call(&two, "/about?name=b");
    assert_eq!(call(&one, "/about?name=b"), other);

    assert_eq!(call(&two, "/with"), json!({ "said": [10, 20, 30], "text": "a stream" }));
    assert_eq!(call(&two, "/till"), json!([2, 5]));
    let failed = call(&two, "/fail");
    assert_eq!(
        (&failed["name"], &failed["message"], &failed["remote"]),
        (&json!("RangeError"), &json!("not today"), &json!(true)),
        "{failed}"
    );
    let body = "0123456789abcdef".repeat(200_000);
    let answer = two.connect().post("/echo", &body).expect("an answer");
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("x-instance"), instance.as_str());
    assert!(answer.body == body, "{} of {} bytes", answer.body.len(), body.len());
}

#[test]
fn a_caller_that_leaves_and_calls_in_a_circle_end_what_they_asked_of_another_process() {
    let project = project();
    let [one, two] = [(); 2].map(|()| Serving::start(project.path()));
    call(&one, "/about");
    assert_eq!(call(&two, "/slow"), json!("TimeoutError"));
    until("the object is told", || {
        (call(&one, "/aborts") == json!(1)).then_some(())
    });
    call(&two, "/about?name=aa");
    let circle = call(&one, "/circle");
    let message = circle["message"].as_str().unwrap_or_default();
    assert!(message.contains("calls between workers lead to this one"), "{circle}");
}

#[test]
fn sockets_reach_an_object_of_another_process() {
    let project = project();
    let [one, two] = [(); 2].map(|()| Serving::start(project.path()));
    call(&one, "/about");
    let mut sockets = [&one, &two].map(|server| Socket::open(server.address, "/socket"));
    for at in 0..2 {
        sockets[at].send_text("hello");
        for socket in &mut sockets {
            assert_eq!(socket.read(), Frame::text("hello of 2"));
        }
    }
    sockets[1].close(3001, "bye");
    assert_eq!(sockets[1].read(), Frame::close(3001, "bye"));
    until("the object has one left", || {
        sockets[0].send_text("who");
        (sockets[0].read() == Frame::text("who of 1")).then_some(())
    });
}

/// Adds until it is told to stop. Returns the number of sums that came, and the last of them.
fn add_to(server: &Serving, stop: &AtomicBool) -> (u64, u64) {
    let mut connection = Connection::open(server.address).expect("a listener");
    let (mut sums, mut last) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let answer = connection.get("/add").expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        (sums, last) = (sums + 1, answer.body.parse().expect("a number"));
    }
    (sums, last)
}

#[test]
fn an_object_moves_to_another_process_when_its_own_ends_and_no_call_fails() {
    let project = project();
    let two = Serving::start(project.path());
    let stop = AtomicBool::new(false);
    let mut ended = 0;
    let (sums, last) = thread::scope(|scope| {
        let adds = scope.spawn(|| add_to(&two, &stop));
        // The object lives in the process that is asked, from the second on in one that ends.
        for _ in 0..3 {
            let mut one = Serving::start(project.path());
            let sum = call(&one, "/add");
            assert!(sum.is_u64(), "{sum}");
            ended += 1;
            one.signal("TERM");
            assert_eq!(one.exit_code(), Some(0));
        }
        stop.store(true, Ordering::Relaxed);
        adds.join().expect("a client")
    });
    assert_eq!(last, sums + ended, "each was added once");
}

#[test]
fn an_object_of_a_process_that_ends_is_had_by_the_next_one_that_is_asked() {
    let project = project();
    let mut one = Serving::start(project.path());
    assert_eq!(call(&one, "/add"), json!(1));
    let instance = call(&one, "/about");
    let two = Serving::start(project.path());
    assert_eq!(call(&two, "/about"), instance);
    one.signal("TERM");
    assert_eq!(call(&two, "/add"), json!(2), "it waits for the end");
    assert_eq!(one.exit_code(), Some(0));
    assert_ne!(call(&two, "/about"), instance);
    // A process that is killed has no time to give its objects up.
    let mut three = Serving::start(project.path());
    assert_eq!(call(&three, "/add?name=c"), json!(1));
    assert_eq!(call(&two, "/add?name=c"), json!(2));
    three.signal("KILL");
    three.exit_code();
    assert_eq!(call(&two, "/add?name=c"), json!(3));
}

/// Kills the process that has an object, this many times, while a client of another writes to it.
fn nothing_acknowledged_is_lost(rounds: u64) {
    let project = project();
    let stays = Serving::start(project.path());
    let mut acknowledged = 0;
    for round in 0..rounds {
        let mut goes = Serving::start(project.path());
        let path = format!("/add?name={round}");
        assert_eq!(call(&goes, &path), json!(1));
        let (is_killed, acknowledgments) = (AtomicBool::new(false), AtomicU64::new(0));
        let (sums, last, lost) = thread::scope(|scope| {
            let client = scope.spawn(|| {
                let (mut sums, mut last, mut lost) = (1, 1, 0);
                // One more afterwards, to see what is there.
                loop {
                    let was_killed = is_killed.load(Ordering::Relaxed);
                    let sum = call(&stays, &path);
                    match sum.as_u64() {
                        Some(sum) => {
                            (sums, last) = (sums + 1, sum);
                            acknowledgments.fetch_add(1, Ordering::Relaxed);
                        }
                        // It may have been stored before its process was killed.
                        None => {
                            assert_eq!(sum["retryable"], json!(true), "{sum}");
                            lost += 1;
                        }
                    }
                    if was_killed && sum.is_u64() {
                        return (sums, last, lost);
                    }
                }
            });
            until("some writes are acknowledged", || {
                (acknowledgments.load(Ordering::Relaxed) >= 3).then_some(())
            });
            // tidy:allow(sleep): a moment that differs from round to round is what the test is about
            thread::sleep(Duration::from_millis(20 + (round * 37) % 200));
            goes.signal("KILL");
            goes.exit_code();
            is_killed.store(true, Ordering::Relaxed);
            client.join().expect("a client")
        });
        assert!(
            (sums..=sums + lost).contains(&last),
            "round {round}: {sums} acknowledged, {lost} failed, {last} stored"
        );
        acknowledged += sums;
    }
    assert!(
        acknowledged > rounds * 3,
        "only {acknowledged} writes in {rounds} rounds"
    );
    eprintln!("{rounds} rounds, {acknowledged} acknowledged writes");
}

#[test]
fn what_an_object_of_a_killed_process_acknowledged_is_there() {
    nothing_acknowledged_is_lost(3);
}

#[test]
#[ignore = "nightly: takes minutes"]
fn what_an_object_of_a_killed_process_acknowledged_is_there_200_times() {
    nothing_acknowledged_is_lost(200);
}
