//! Reads samples and undoes their encoding, which is a simple one: each byte was combined with a key by exclusive or. The
//! first byte of a sample is its key.

use std::process::ExitCode;

use isopod_module::{BoxError, Module, TaskContext};
use serde::Deserialize;

/// Bytes that are decoded between two reports of progress.
const PART: usize = 4096;

#[derive(Deserialize)]
struct Sample {
    path: String,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), isopod_module::Error> {
    Module::connect()?
        .program(concat!("unpack ", env!("CARGO_PKG_VERSION")))
        .tasks_max(4)
        .task("unpack", unpack)
        .run()
}

async fn unpack(ctx: TaskContext, sample: Sample) -> Result<usize, BoxError> {
    let packed = std::fs::read(&sample.path).map_err(|error| format!("{}: {error}", sample.path))?;
    let (&key, packed) = packed.split_first().ok_or("the sample is empty")?;
    let mut content = Vec::with_capacity(packed.len());
    for part in packed.chunks(PART) {
        content.extend(part.iter().map(|byte| byte ^ key));
        ctx.progress(&(content.len() as f64 / packed.len() as f64)).await?;
    }
    // The result's name is the sample's, so that those who read it know what it is of.
    let name = sample.path.rsplit('/').next().unwrap_or_default();
    let size = content.len();
    ctx.emit_payload(name, content).await?;
    Ok(size)
}
