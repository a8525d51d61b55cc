//! Calls of functions exported by a pool's scripts.

use futures::FutureExt;
use futures::future::BoxFuture;
use isopod_pool::Failure;
use isopod_pool::js::Pool;
use isopod_pool::js::values::Thrown;
use serde_json::Value;

use crate::supervise::{Called, Exports};

/// A unit is the name that a script is deployed under. An array contains the arguments, `null` means none, and any other
/// value is the only argument.
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

/// Returns true if the function is missing. Does not use the message, which a script can choose.
fn is_missing(failure: &Failure) -> bool {
    let source = failure.source.as_deref();
    source
        .and_then(|source| source.downcast_ref::<Thrown>())
        .is_some_and(|thrown| thrown.missing)
}
