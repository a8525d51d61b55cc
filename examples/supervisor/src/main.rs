//! A program that survives the failure of its parts: it measures weather stations, some of which are broken.
//!
//! The results are on standard output, the log of crashes on standard error.

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use futures::executor::block_on;
use isopod::host::bus::{
    Bus, Chain, ChainContext, Delivery, HandlerOptions, ResultRef, Results, Source, SubscribeOptions, SystemEvent,
};
use isopod::host::supervise::{
    Backoff, BoxError, Called, ChildSpec, GroupOptions, NativeModules, Restart, RunOptions, Supervisor,
};
use serde_json::json;

/// Takes one measurement. The stations on the hill are broken.
async fn measure(station: &'static str) -> Result<f64, BoxError> {
    match station {
        "harbour" => Ok(17.5),
        "airport" => Ok(16.0),
        "hill" => Err("the sensor does not answer".into()),
        "tower" => panic!("struck by lightning"),
        _ => pending().await,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    // The tasks need a runtime; the program itself waits with a minimal executor.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    let bus = Bus::new();
    let supervisor = Supervisor::builder(runtime.handle().clone()).bus(bus.clone()).build();

    block_on(async {
        tasks(&supervisor).await?;
        children(&supervisor, &bus).await?;
        chain(&bus, runtime.handle()).await
    })?;

    let report = block_on(supervisor.shutdown(Duration::from_secs(5)));
    let total = supervisor.stats().total;
    println!(
        "stats: {} finished, {} crashed, {} timed out, {} restarts, {} cut",
        total.finished, total.crashed, total.timed_out, total.restarts, report.cut
    );
    Ok(())
}

/// Tasks with and without a waiting caller, and functions called by name.
async fn tasks(supervisor: &Supervisor) -> Result<(), Box<dyn Error>> {
    for station in ["harbour", "hill", "tower"] {
        match supervisor.run(station, measure(station)).await {
            Ok(degrees) => println!("run {station}: {degrees}"),
            Err(error) => println!("run {station}: {error}"),
        }
    }
    let options = RunOptions::default().timeout(Duration::from_millis(100));
    if let Err(error) = supervisor.run_with(options, "sea", measure("sea")).await {
        println!("run sea: {error}");
    }

    let stations = ["airport", "tower", "harbour", "sea"];
    let all = supervisor
        .run_all("all", stations.map(measure), Duration::from_millis(200))
        .await;
    for (station, result) in stations.iter().zip(all) {
        println!(
            "run_all {station}: {}",
            if result.is_ok() { "measured" } else { "failed" }
        );
    }

    // No caller waits for this task: its crash appears in the log and the statistics.
    supervisor.spawn("backup", async { Err::<(), _>("the tape is full") })?;

    let modules = NativeModules::new().function("units", "fahrenheit", |celsius: f64| async move {
        Ok::<_, BoxError>(celsius * 1.8 + 32.0)
    });
    let warm: Called<f64> = supervisor.call(&modules, "units", "fahrenheit", 17.5).await?;
    let cold: Called<f64> = supervisor.call(&modules, "units", "kelvin", 17.5).await?;
    println!("call fahrenheit: {warm:?}, kelvin: {cold:?}");
    Ok(())
}

/// A child that fails twice before it runs, and one that runs until it is stopped.
async fn children(supervisor: &Supervisor, bus: &Bus) -> Result<(), Box<dyn Error>> {
    let mut ended = bus.subscribe("isopod.task.completed", SubscribeOptions::default())?;
    let modem = ChildSpec::new("modem", |ctx| async move {
        match ctx.restarts {
            0 | 1 => Err("no carrier"),
            attempts => {
                println!("child modem: connected after {attempts} restarts");
                Ok(())
            }
        }
    })
    .restart(Restart::Transient)
    .backoff(Backoff::default().min(Duration::from_millis(10)));
    let clock = ChildSpec::new("clock", |ctx| async move {
        ctx.token.cancelled().await;
        Ok::<_, BoxError>(())
    });
    let group = supervisor.supervise(vec![clock, modem], GroupOptions::default());
    // The supervisor publishes how tasks and children end, so polling is not needed.
    while let Some(Delivery::Message(message)) = ended.recv().await {
        if matches!(SystemEvent::of(&message), Some(SystemEvent::TaskCompleted { name, .. }) if &*name == "modem") {
            break;
        }
    }
    let report = group.stop().await?;
    let stopped: Vec<_> = report.stopped.iter().map(|child| &*child.name).collect();
    println!("group: {} restarts, stopped: {}", report.restarts, stopped.join(", "));
    Ok(())
}

/// Measurements are announced on the bus. The announcement starts a task that reads them and announces their mean.
async fn chain(bus: &Bus, handle: &tokio::runtime::Handle) -> Result<(), Box<dyn Error>> {
    let results = Results::new();
    let mean = |ctx: ChainContext| async move {
        let payload = ctx.read()?;
        let degrees: Vec<f64> = payload
            .as_json()
            .and_then(|json| json.as_array())
            .map(|list| list.iter().filter_map(|degrees| degrees.as_f64()).collect())
            .unwrap_or_default();
        ctx.announce("mean", json!(degrees.iter().sum::<f64>() / degrees.len() as f64))?;
        Ok::<_, BoxError>(())
    };
    let options = HandlerOptions::default().source(Source::native("statistics"));
    let mut announced = bus.subscribe("results.statistics", SubscribeOptions::default())?;
    let chain = Chain::new("results.stations".parse()?, options, mean).start(handle, bus, &results)?;

    let stations = Source::native("stations");
    results.announce(bus, stations, "degrees", json!([17.5, 16.0]))?;
    if let Some(Delivery::Message(message)) = announced.recv().await {
        let result = ResultRef::of(&message).ok_or("a result")?;
        let value = results.read(&result)?;
        println!(
            "chain: {} of {} is {}, at depth {}",
            result.name,
            result.source,
            value.as_json().unwrap_or(&json!(null)),
            message.depth
        );
    }
    drop(chain);
    Ok(())
}
