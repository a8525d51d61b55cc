//! One worker at a time, on a thread of its own, on real V8.

mod breaches;
mod common;
mod deadlines;
mod extend;
mod handlers;
mod limits;
mod modules;
mod quotas;
mod reach;
mod web;
