//! The names that most programs with a pool use: `use isopod::prelude::*`.

#[doc(no_inline)]
pub use crate::{
    Arguments, Body, Failure, Limits, Meta, NativeBinding, NativeError, NativeFunction, Options, Outcome, Policy, Pool,
    Script, SqlConfig, TaskItem, TaskRequest,
};
