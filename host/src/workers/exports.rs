//! What a pool's scripts export, called by name.

use futures::FutureExt;
use futures::future::BoxFuture;
use isopod_pool::js::Pool;
use isopod_pool::js::values::Thrown;
use isopod_pool::{Failure, Outcome};
use serde_json::Value;

use crate::supervise::{Called, Exports};

/// Where the runtime looks for what a call is for.
const LOOKING: &str = "ext:isopod_handlers/";

/// A unit is a script by the name it is deployed under. An array of arguments is their list, `null` is none, anything else
/// the only one.
impl Exports for Pool {
    fn call_export(
        &self,
        unit: &str,
        function: &str,
        args: Value,
    ) -> BoxFuture<'static, Result<Called<Value>, Failure>> {
        let (pool, unit, function) = (self.clone(), unit.to_owned(), function.to_owned());
        async move {
            match pool.call::<_, Value>(&unit, &function, args).await {
                Ok(value) => Ok(Called::Value(value)),
                Err(failure) if is_missing(&failure) => Ok(Called::NotExported),
                Err(failure) => Err(failure),
            }
        }
        .boxed()
    }
}

/// Whether the runtime found nothing to call. Not by the message, which a script may choose, but by where the error was
/// thrown: in the runtime, while nothing of the script ran. Whatever a script throws or passes on has a frame of the script.
fn is_missing(failure: &Failure) -> bool {
    let thrown = failure
        .source
        .as_deref()
        .and_then(|source| source.downcast_ref::<Thrown>());
    let Some(thrown) = thrown.filter(|thrown| failure.outcome == Outcome::Exception && thrown.class == "TypeError")
    else {
        return false;
    };
    let stack = thrown.stack.as_deref().unwrap_or_default();
    let frames: Vec<_> = stack
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("at "))
        .collect();
    let looking = |frame: &&str| frame.starts_with(LOOKING) || frame.contains(&format!("({LOOKING}"));
    frames.iter().all(looking) && frames.last().is_some_and(|frame| frame.starts_with("beginCall "))
}
