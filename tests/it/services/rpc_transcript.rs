//! Calls of methods compared with workerd.

use serde_json::{Value as Json, json};

use crate::program::Serving;
use crate::project::Project;
use crate::transcript;

/// With one worker, whose state all calls see.
const CONFIGURATION: &str = "threads = 1\nname = 'x'\nmain = 'rpc.js'\nservices = [
    { binding = 'API', service = 'x', entrypoint = 'Api', props = { z = 1 } },
    { binding = 'OBJECT', service = 'x', entrypoint = 'object' } ]";

/// Intended differences from workerd: the step, Isopod's result and the reason.
fn differences() -> Vec<(&'static str, Json, &'static str)> {
    let not_cloned = |message: &str| json!({ "throws": { "class": "DOMException", "name": "DataCloneError", "message": message, "code": 25 } });
    vec![
        (
            "an element below a getter",
            json!({ "throws": {
                "class": "TypeError", "name": "TypeError", "remote": true,
                "message": "The RPC receiver does not implement the method \"1\".",
            } }),
            "workerd does not ask the service for a number, and has nothing",
        ),
        (
            "an exception: own",
            json!({ "throws": { "class": "Error", "name": "MyError", "message": "mine", "remote": true } }),
            "the name stays a name",
        ),
        (
            "a proxy",
            not_cloned("#<Object> could not be cloned."),
            "a proxy is copied as little as by structuredClone()",
        ),
        (
            "a service binding as an argument",
            not_cloned("#<Fetcher> could not be cloned."),
            "there is no flag for it",
        ),
        (
            "disposal of a target",
            json!("disposed"),
            "workerd waits for the end of the event that called",
        ),
        (
            "disposal of a plain result",
            json!([{ "a": 1, "symbols": ["Symbol(Symbol.dispose)"] }, "disposed"]),
            "workerd waits for the end of the event that called",
        ),
        (
            "structuredClone() of a target",
            not_cloned("a RpcTarget cannot be cloned"),
            "the text says what was to be cloned",
        ),
        (
            "too large an argument",
            json!({ "throws": {
                "class": "Error", "name": "Error",
                "message": "Serialized RPC arguments or return values are limited to 33554432 bytes (`limits.message`), but the \
                            size of this value was: 34603047 bytes.",
            } }),
            "the text names the setting",
        ),
    ]
}

/// Source: rpc.json, the transcript of workerd 1.20260426.1 with miniflare 4 for the same worker.
#[test]
fn calls_behave_as_on_workerd() {
    let project = Project::copy_of("bindings");
    project.write("isopod.toml", CONFIGURATION);
    let server = Serving::start(project.path());
    let steps = transcript::compare(&server.get("/").body, "rpc.json", &differences());
    assert!(steps > 60);
}
