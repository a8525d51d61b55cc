//! Integration tests of the whole, as its users meet it: the built program on real sockets, and the pool as a library.
//!
//! Scripts and configurations are data under `fixtures`. What a single crate can test, it tests itself.

mod bus;
mod bus_tasks;
mod callbacks;
mod check;
mod client;
mod command_end;
mod command_files;
mod command_limits;
mod command_project;
mod compression;
mod cron;
mod cut_bodies;
mod email;
mod embedding;
mod encodings;
mod hosted;
mod hostile;
mod hostile_host;
mod hostile_leftovers;
mod hostile_load;
mod hostile_network;
mod hostile_nightly;
mod hostile_outbound;
mod hostile_scripts;
mod hundred;
mod load;
mod manual;
mod memory_bounds;
mod messages;
mod modules;
mod origin;
mod os_scheduling;
mod process;
mod program;
mod project;
mod quotas;
mod run;
mod secrets;
mod serving;
mod systems;
mod tasks;
mod values;
mod watch;
mod wintertc;
