//! Three workers in a row: one parses, one transforms, one summarizes. Each is started by the results of the previous
//! one. Ctrl-C cancels everything.
//!
//! The report is on standard output, the progress on standard error.

mod bars;
mod orders;

use std::error::Error;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use isopod::host::bus::{
    Bus, Delivery, Handler, HandlerOptions, Message, ResultRef, Results, SubscribeOptions, SystemEvent,
};
use isopod::host::workers::WorkerTasks;
use isopod::{Options, Pool, Script, TaskRequest};
use tokio::runtime::Runtime;

use crate::bars::Bars;

/// The stages by name, in the order of the data.
const STAGES: [(&str, &str); 3] = [
    ("parse", include_str!("stages/parse.js")),
    ("transform", include_str!("stages/transform.js")),
    ("summarise", include_str!("stages/summarise.js")),
];

/// Exit code of a program ended by Ctrl-C, as shells report it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match run() {
        Ok(Some(report)) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Ok(None) => {
            eprintln!("canceled");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the report, or `None` if interrupted.
fn run() -> Result<Option<String>, Box<dyn Error>> {
    let csv = read(std::env::args().nth(1).as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (bus, results) = (Bus::new(), Results::new());
    let pool = Pool::builder().threads(STAGES.len()).build()?;
    for (name, source) in STAGES {
        let script = Script::builder(name)
            .source(source)
            .binding("RESULTS", results.binding());
        pool.deploy(name, script.build()?, &Options::default())?;
    }
    let tasks = WorkerTasks::new(&bus, &results, &pool);
    // Each stage but the first is started by the previous one, as long as its handler is kept.
    let chained: Vec<Handler> = STAGES
        .windows(2)
        .map(|pair| chain(&runtime, &tasks, &bus, &results, pair[0].0, pair[1].0))
        .collect::<Result<_, _>>()?;

    let report = runtime.block_on(follow(&bus, &results, &tasks, csv));
    drop(chained);
    let ended = pool.shutdown_blocking(Duration::from_secs(5));
    eprintln!("{} threads joined", ended.threads_joined);
    report
}

/// Starts `to` for the results of `from`.
fn chain(
    runtime: &Runtime,
    tasks: &WorkerTasks,
    bus: &Bus,
    results: &Results,
    from: &str,
    to: &str,
) -> Result<Handler, Box<dyn Error>> {
    let options = HandlerOptions::default().timeout(Duration::from_secs(60));
    let from = format!("results.{from}").parse()?;
    Ok(tasks.chain(from, to, options).start(runtime.handle(), bus, results)?)
}

/// Starts the first task, and shows events until the last one has finished.
async fn follow(
    bus: &Bus,
    results: &Results,
    tasks: &WorkerTasks,
    csv: String,
) -> Result<Option<String>, Box<dyn Error>> {
    let bars = Bars::new(&STAGES.map(|(name, _)| name))?;
    let mut told = bus.subscribe("isopod.task.*", SubscribeOptions::default())?;
    let mut reports = bus.subscribe("results.summarise", SubscribeOptions::default())?;
    let request = TaskRequest::new(csv).config("separator", ",");
    let mut parse = pin!(tasks.run::<u32>("parse", request).finish());
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut parsed = false;
    loop {
        tokio::select! {
            biased;
            // Dropping the tasks cancels them.
            _ = &mut interrupted => return Ok(None),
            Some(delivery) = told.recv() => {
                if let Delivery::Message(message) = delivery && let Some(event) = SystemEvent::of(&message) {
                    bars.show(event)?;
                }
            }
            rows = &mut parse, if !parsed => {
                parsed = true;
                rows?;
            }
            Some(Delivery::Message(message)) = reports.recv() => return read_report(results, &message).map(Some),
        }
    }
}

fn read_report(results: &Results, message: &Message) -> Result<String, Box<dyn Error>> {
    let result = ResultRef::of(message).ok_or("a message that announces no result")?;
    let report = results.read(&result)?.to_json()?;
    Ok(report.as_str().ok_or("a report that is no text")?.to_owned())
}

/// Reads a file of orders, or generates as many as the argument says.
fn read(argument: Option<&str>) -> Result<String, Box<dyn Error>> {
    match argument.map(str::parse) {
        None => Ok(orders::made_up(20_000)),
        Some(Ok(count)) => Ok(orders::made_up(count)),
        Some(Err(_)) => {
            let path = argument.unwrap_or_default();
            std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}").into())
        }
    }
}
