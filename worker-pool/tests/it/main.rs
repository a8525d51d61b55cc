//! The pool as its users have it, on the fake engine: one program, because each would hold an engine of its own.

mod anywhere;
mod attached;
mod boot;
mod common;
mod deploy;
mod idle;
mod interleaving;
mod limits;
mod long_turn;
mod lost;
mod many;
mod memory;
mod native;
mod nested;
mod observers;
mod outcomes;
mod overload;
mod placement;
mod recycle;
mod sessions;
mod shutdown;
mod smoke;
mod stuck;
