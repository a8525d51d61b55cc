//! Calls by name.

use std::fmt;
use std::future::pending;
use std::io;

use isopod_host::supervise::{BoxError, CallError, Called, Exports, NativeModules, RunError};
use serde_json::Value;

use crate::builder;

#[derive(Debug, thiserror::Error)]
#[error("cannot divide")]
struct Division(#[source] io::Error);

fn modules() -> NativeModules {
    NativeModules::new()
        .function(
            "math",
            "add",
            |(a, b): (i64, i64)| async move { Ok::<_, BoxError>(a + b) },
        )
        .function("math", "divide", |(a, b): (i64, i64)| async move {
            a.checked_div(b).ok_or_else(|| Division(io::Error::other("by zero")))
        })
        .function(
            "math",
            "panic",
            |_: Value| -> std::future::Ready<Result<(), BoxError>> { panic!("no way") },
        )
        .function("math", "hang", |_: Value| pending::<Result<(), BoxError>>())
}

fn cause(error: &CallError) -> impl fmt::Debug {
    match error {
        CallError::Run(error) => error
            .failure()
            .map(|failure| (failure.message.clone(), failure.detail.clone())),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_returns_a_value_or_an_error_with_its_cause() {
    let (supervisor, modules) = (builder().build(), modules());
    let modules: &dyn Exports = &modules;
    let call = |function: &'static str, args: (i64, i64)| supervisor.call::<i64>(modules, "math", function, args);
    assert_eq!(call("add", (40, 2)).await.expect("adds"), Called::Value(42));
    assert_eq!(call("subtract", (1, 1)).await.expect("no error"), Called::NotExported);
    assert_eq!(
        supervisor
            .call::<()>(modules, "art", "add", ())
            .await
            .expect("no error")
            .value(),
        None
    );

    let error = call("divide", (1, 0)).await.expect_err("divides");
    let detail = Some("caused by: by zero".to_owned());
    assert_eq!(
        format!("{:?}", cause(&error)),
        format!("{:?}", Some(("cannot divide".to_owned(), detail)))
    );
    let error = call("panic", (0, 0)).await.expect_err("panics");
    assert!(error.to_string().contains("panicked: no way"), "{error}");
    let error = call("hang", (0, 0)).await.expect_err("hangs");
    assert!(matches!(error, CallError::Run(RunError::TimedOut { .. })), "{error}");
    let stats = supervisor.stats().names["math"];
    assert_eq!((stats.finished, stats.crashed, stats.timed_out), (2, 2, 1));
}

#[tokio::test]
async fn types_that_do_not_fit_are_errors_that_say_where() {
    let (supervisor, modules) = (builder().build(), modules());
    let error = supervisor
        .call::<i64>(&modules, "math", "add", "two")
        .await
        .expect_err("arguments");
    assert!(
        error.to_string().contains("the arguments have the wrong type"),
        "{error}"
    );
    let error = supervisor
        .call::<String>(&modules, "math", "add", (1, 1))
        .await
        .expect_err("result");
    assert!(
        matches!(&error, CallError::Returned { function, .. } if function == "add"),
        "{error}"
    );
}
