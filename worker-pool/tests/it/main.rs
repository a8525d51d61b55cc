//! Tests of the pool's public interface on the fake engine.

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
