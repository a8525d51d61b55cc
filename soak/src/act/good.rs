//! Good requests, each with one correct response.

use tokio::time::Instant;

use super::{Scene, Wrong, expect, name_of_good};
use crate::client::request;
use crate::plan::{Good, Step};

/// Concurrent requests never share a key, and the table stays small.
const KEYS: u64 = 4096;

/// Number of consecutive requests to a plain worker: its connection moves to the worker's thread meanwhile.
const IN_A_ROW: u32 = 4;

/// Sends requests, and checks the responses.
pub(super) async fn ask(scene: &Scene<'_>, good: Good, step: &Step) -> Result<(), Wrong> {
    if !matches!(good, Good::Plain(_)) {
        return ask_once(scene, good, step).await;
    }
    for nth in 0..IN_A_ROW {
        let anew = step.anew && nth == 0;
        ask_once(scene, good, &Step { anew, ..*step }).await?;
    }
    Ok(())
}

async fn ask_once(scene: &Scene<'_>, good: Good, step: &Step) -> Result<(), Wrong> {
    let (request, right) = exchange(scene, good, step.number);
    let confirmed = scene.versions.confirmed.get();
    let start = Instant::now();
    let answer = scene.ask(request, step.anew).await?;
    scene.took(name_of_good(good), start);
    match good {
        Good::Deployed => {
            let right = confirmed..=scene.versions.written.get();
            let version = std::str::from_utf8(&answer.body)
                .ok()
                .and_then(|text| text.parse().ok());
            match version {
                Some(version) if right.contains(&version) => expect(&answer, &answer.body),
                _ => Err(format!(
                    "a version of {right:?} was expected, {}",
                    super::describe(&answer)
                )),
            }
        }
        _ => expect(&answer, &right),
    }
}

/// The request's body, and the expected response.
fn exchange(scene: &Scene<'_>, good: Good, number: u64) -> (Vec<u8>, Vec<u8>) {
    let get = |worker: &str, path: &str, right: &str| (request(worker, path, "", None), right.as_bytes().to_vec());
    match good {
        Good::Hello => get("hello", "/hello", "hello"),
        Good::Echo(count) => {
            let numbers: Vec<_> = (0..count).map(|i| (number + i) % 1000).collect();
            let sum: u64 = numbers.iter().sum();
            let body = format!("{{\"id\":{number},\"numbers\":{numbers:?}}}");
            let right = format!("{{\"id\":{number},\"sum\":{sum}}}");
            let request = request(
                "echo",
                "/echo",
                "content-type: application/json\r\n",
                Some(body.as_bytes()),
            );
            (request, right.into_bytes())
        }
        Good::Back(kilobytes) => {
            let body = pattern(kilobytes + number % 2);
            (request("echo", "/back", "", Some(&body)), body)
        }
        Good::Stream(kilobytes) => {
            let path = format!("/stream/{kilobytes}");
            (request("stream", &path, "", None), pattern(kilobytes))
        }
        Good::Sql => {
            let (path, body) = (format!("/sql/{}", number % KEYS), format!("value {number}"));
            (request("sql", &path, "", Some(body.as_bytes())), body.into_bytes())
        }
        Good::Timers(count) => get("timers", &format!("/timers/{count}"), &count.to_string()),
        Good::Later => get("timers", &format!("/later/{number}"), &number.to_string()),
        Good::Relay => {
            let right = format!("/{number}/1 /{number}/2 /{number}/3");
            let extra = format!("x-origin: {}\r\n", scene.origin);
            let request = request("relay", &format!("/relay/{number}"), &extra, None);
            (request, right.into_bytes())
        }
        Good::Fresh => get("fresh", "/fresh", "1"),
        Good::Deployed => get("deployed", "/", ""),
        Good::Plain(worker) => get(&format!("plain-{worker}"), "/hello", "hello"),
    }
}

/// This many pieces of 1,000 bytes each, filled with the piece's number, as the good worker streams them.
pub(super) fn pattern(kilobytes: u64) -> Vec<u8> {
    let piece = |number: u64| [u8::try_from(number % 251).unwrap_or_default(); 1000];
    (0..kilobytes).flat_map(piece).collect()
}

/// A long event that uses a database connection.
pub(super) async fn hold(scene: &Scene<'_>) -> Result<(), Wrong> {
    let answer = scene.ask(request("sql", "/hold/300", "", None), true).await?;
    expect(&answer, b"held")
}
