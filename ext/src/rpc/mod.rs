//! Calls between workers (RPC): methods of a service binding, and stubs for functions and objects of another worker.
//!
//! A call is an [`RpcMessage`] there and one back. A message is a value of the structured clone algorithm with its parts:
//! stubs and streams. `values.js` writes and reads it, `target.js` finds the method, `rpc.js` has the proxies of the caller.
//!
//! - A method of a service is an event of its own ([`RpcCall`]), like a request.
//! - A function or an `RpcTarget` that is passed stays where it is, and belongs to the event whose code passed it. The other
//!   side gets a stub, which calls it there: see [`Callback`](crate::native::Callback). An event of a
//!   method stays open while the other side holds stubs of it.
//!
//! Nothing here knows of pools.

mod call;
mod convert;
mod failure;
mod message;
mod ops;
mod resources;

pub use self::call::RpcCall;
pub(crate) use self::convert::read;
pub use self::failure::RpcError;
pub(crate) use self::failure::{Returned, ScriptFailure};
pub use self::message::RpcMessage;
pub(crate) use self::message::{Away, Part, Stub, StubError, StubFuture};

deno_core::extension!(
    isopod_rpc,
    deps = [deno_webidl, deno_web, isopod_fetch, isopod_handlers, isopod_native],
    ops = [
        ops::op_isopod_rpc_adopt,
        ops::op_isopod_rpc_dup,
        ops::op_isopod_rpc_lend,
        ops::op_isopod_rpc_limits,
        ops::op_isopod_rpc_pump,
        ops::op_isopod_rpc_stays,
        ops::op_isopod_rpc_stream,
        ops::op_isopod_rpc_stub_call,
    ],
    lazy_loaded_js = [dir "src/rpc", "errors.js", "receive.js", "rpc.js", "target.js", "values.js"],
);
