//! Values sent from script to script, in V8's serialization. A value serialized by one worker is read as the same by
//! another. Other bytes are rejected by V8's reader and by ours, without a crash.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::executor::block_on;
use isopod_ext::publish::{Outgoing, Publish, PublishBinding, Refused};
use isopod_pool::js::{Data, Message, Pool, Script};
use isopod_pool::{Options, Outcome};

use crate::engine::Target;
use crate::expression::any_value;
use crate::mutate::mutated;

const SOURCE: &str = r#"
export class Sender {
  constructor(ctx, env) { this.env = env; }
  send(text) { this.env.EVENTS.publish("made", new Function(`return (${text})`)()); }
  ping() { return "pong"; }
}
export default {
  message(message, env) { env.EVENTS.publish("back", message.data); },
};
"#;

/// Keeps the last message.
#[derive(Clone, Default)]
struct Last(Arc<Mutex<Option<Data>>>);

impl Publish for Last {
    fn publish(&self, message: Outgoing) -> Result<(), Refused> {
        *self.0.lock().expect("the last message") = Some(message.data);
        Ok(())
    }
}

struct Arena {
    pool: Pool,
    last: Last,
}

impl Arena {
    fn new() -> Self {
        let pool = Pool::builder().threads(1).build().expect("a pool");
        let last = Last::default();
        let script = Script::builder("clone").source(SOURCE);
        let script = script.binding("EVENTS", PublishBinding(Arc::new(last.clone())));
        pool.deploy("clone", script.build().expect("a script"), &Options::default())
            .expect("a pool that runs");
        Self { pool, last }
    }

    fn published(&self) -> Option<Data> {
        self.last.0.lock().expect("the last message").take()
    }

    /// Serializes a value in a worker, if possible.
    fn write(&self, expression: &str) -> Option<Data> {
        let sent: Result<(), _> = block_on(self.pool.call("clone#Sender", "send", (expression.to_owned(),)));
        if let Err(failure) = sent {
            assert_eq!(failure.outcome, Outcome::Exception, "{failure}");
        }
        self.published()
    }

    /// Deserializes a value in a worker, and serializes it again.
    fn again(&self, data: Data) -> Option<Data> {
        let message = Message::new(1, "made", "fuzz", data);
        if let Err(failure) = block_on(self.pool.message("clone", message)) {
            let expected = [Outcome::Exception, Outcome::ExceededMemory];
            assert!(expected.contains(&failure.outcome), "{failure}");
        }
        self.published()
    }

    fn lives(&self) {
        let pong: Result<String, _> = block_on(self.pool.call("clone#Sender", "ping", ()));
        assert_eq!(pong.as_deref(), Ok("pong"));
    }
}

#[test]
fn cloned_values() {
    let arena = Arena::new();
    let check = |expression: &str| {
        if let Some(written) = arena.write(expression) {
            // Only that it returns matters, not whether there is a plain counterpart.
            drop(written.to_json());
            // Blobs and similar objects can only be read in the worker that serialized them.
            if let Some(once) = arena.again(written) {
                assert_eq!(arena.again(once.clone()), Some(once));
            }
        }
        arena.lives();
    };
    Target::slow("cloned_values", 20, Duration::from_secs(20)).run(|_| any_value(), check);
}

#[test]
fn platform_markers_are_accepted() {
    let source = r#"
const attempt = (value) => {
  try { const copy = structuredClone(value); return [copy.constructor.name, copy.name ?? "", copy.message ?? ""]; }
  catch (error) { return ["", error.name, error.message]; }
};
export const copies = () => [
  attempt(new DOMException("m", "DataError")),
  attempt(new File(["x"], "f")),
  attempt([new Blob(["x"])][0]),
  attempt({ [Symbol.for("Deno.core.hostObject")]() { return { type: "none" }; } }),
  attempt({ [Symbol.for("Deno.core.hostObject")]() { return { type: {} }; } }),
  attempt({ [Symbol.for("Deno.core.hostObject")]() { throw new RangeError("own"); } }),
];"#;
    let pool = Pool::builder().threads(1).build().expect("a pool");
    let script = Script::builder("clone").source(source).build().expect("a script");
    pool.deploy("clone", script, &Options::default())
        .expect("a pool that runs");
    let copies: Vec<[String; 3]> = block_on(pool.call("clone", "copies", ())).expect("copies");
    let copies: Vec<_> = copies.iter().map(|copy| copy.each_ref().map(String::as_str)).collect();
    assert_eq!(copies[0], ["DOMException", "DataError", "m"]);
    assert_eq!((copies[1][0], copies[1][1], copies[2][0]), ("File", "f", "Blob"));
    for plain in &copies[3..] {
        assert_eq!(*plain, ["Object", "", ""]);
    }
}

/// A text is bytes in hexadecimal; other characters are skipped.
pub(crate) fn bytes(text: &str) -> Bytes {
    let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit)).unwrap_or_default();
    digits.chunks(2).map(byte).collect()
}

const TAGS: &[&str] = &[
    "ff0f",
    "ff10",
    "ff0e",
    "5f",
    "30",
    "54",
    "46",
    "49",
    "4e",
    "5a",
    "44",
    "73",
    "22",
    "63",
    "53",
    "6f",
    "7b",
    "61",
    "40",
    "41",
    "24",
    "3b",
    "3a",
    "27",
    "2c",
    "42",
    "7e",
    "74",
    "5e",
    "56",
    "72",
    "52",
    "78",
    "79",
    "6e",
    "7a",
    "77",
    "6d",
    "3f",
    "5c",
    "70",
    "75",
    "ffffffff0f",
    "00",
    "80808080",
    "fe",
];

#[test]
fn cloned_bytes() {
    let arena = Arena::new();
    let check = |text: &str| {
        let data = Data::Cloned(bytes(text));
        drop(data.to_json());
        if let Some(read) = arena.again(data) {
            assert!(arena.again(read).is_some(), "what V8 read and wrote it reads again");
        }
        arena.lives();
    };
    Target::slow("cloned_bytes", 60, Duration::from_secs(20)).run(|corpus| mutated(corpus, TAGS), check);
}
