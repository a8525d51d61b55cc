//! Fuzz targets. Each takes a text, made of those in its folder of `fuzz/corpus` or by a grammar, and says what must hold
//! whatever it is.
//!
//! As ordinary tests they go through their corpus and a few hundred inputs that are the same each time. `cargo xtask fuzz`
//! runs them for as long as one likes, each time with others, and keeps what it finds in the corpus.

mod config;
mod cron;
mod engine;
mod env_file;
mod expression;
mod frames;
mod guard;
mod headers;
mod hostile;
mod mutate;
mod routes;
mod scarce;
mod sql;
mod structured_clone;
mod topics;
mod values;
mod words;
