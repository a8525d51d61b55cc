//! `wrk`, the HTTP load generator.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process::Running;
use crate::table::{Better, Column};

/// Concurrent connections.
pub(super) const CONNECTIONS: u32 = 32;

/// The result of a run.
#[derive(Debug, PartialEq)]
pub(super) struct Load {
    pub(super) requests: f64,
    pub(super) per_second: f64,
    pub(super) latency_99: Duration,
}

/// The columns of [`measure`].
pub(super) fn columns() -> Vec<Column> {
    let column = |title, better| Column {
        title,
        better: Some(better),
    };
    vec![
        column("requests/s", Better::Higher),
        column("processor time a request, µs", Better::Lower),
        column("latency, 99 %, ms", Better::Lower),
    ]
}

/// Loads a server for some time, after a warm-up. Returns the values of its row.
pub(super) fn measure(
    server: &Running,
    warm_up: Duration,
    time: Duration,
    load: impl Fn(Duration) -> Result<Load>,
) -> Result<Vec<f64>> {
    // A server that is still starting may stall: workerd does for seconds, with 1,000 scripts. What is measured must not.
    drop(load(warm_up));
    let before = server.cpu_time()?;
    let load = load(time)?;
    let spent = server.cpu_time()?.checked_sub(before);
    let spent = spent.context("processor time ran backwards")?;
    Ok(vec![
        load.per_second,
        spent.as_secs_f64() * 1e6 / load.requests,
        load.latency_99.as_secs_f64() * 1e3,
    ])
}

/// Requests a URL once.
pub(super) fn once(url: &str) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--max-time", "60", "--output", "/dev/null", url]);
    let status = curl.status().context("curl did not start")?;
    ensure!(status.success(), "{url} was not answered well");
    Ok(())
}

/// Requests a URL for this long on these connections, as fast as it is answered. `script`: a Lua script of wrk's that defines the requests, and its
/// arguments.
pub(super) fn load(
    url: &str,
    connections: u32,
    time: Duration,
    script: Option<&OsStr>,
    arguments: &[&str],
) -> Result<Load> {
    let mut command = Command::new("wrk");
    command.args([
        "-t1",
        &format!("-c{connections}"),
        &format!("-d{}s", time.as_secs().max(1)),
        "--latency",
    ]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    command.arg(url);
    if !arguments.is_empty() {
        command.arg("--").args(arguments);
    }
    let output = command
        .output()
        .context("wrk did not start; it is Debian's package wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).with_context(|| format!("wrk on {url}: {}\n{text}", output.status))
}

fn parse(text: &str) -> Result<Load> {
    // Errors are fast and must not be counted as answers.
    if let Some(line) = text
        .lines()
        .find(|line| line.contains("Non-2xx") || line.contains("Socket errors"))
    {
        bail!("not every request was answered well: {}", line.trim());
    }
    let after = |mark: &str| {
        text.lines()
            .find_map(|line| line.trim().strip_prefix(mark))
            .map(str::trim)
    };
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in "));
    let (requests, _) = requests.context("no count of requests")?;
    Ok(Load {
        requests: requests.parse()?,
        per_second: after("Requests/sec:").context("no rate")?.parse()?,
        latency_99: duration(after("99%").context("no latencies")?)?,
    })
}

fn duration(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.find(char::is_alphabetic).context("no unit")?);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => bail!("{unit:?} is not a unit of time that is known"),
    };
    Ok(Duration::from_secs_f64(number.parse::<f64>()? * seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Load, parse};

    const GOOD: &str = "Running 5s test @ http://127.0.0.1:1/\n  1 threads and 32 connections\n  Latency Distribution\n     \
        50%  101.00us\n     99%    1.50ms\n  60010 requests in 5.00s, 4.00MB read\nRequests/sec:  12002.10\n";

    #[test]
    fn the_report_of_wrk_is_read() {
        let load = Load {
            requests: 60010.0,
            per_second: 12002.1,
            latency_99: Duration::from_micros(1500),
        };
        assert_eq!(parse(GOOD).unwrap(), load);
    }

    #[test]
    fn answers_that_are_errors_make_a_run_void() {
        let text = GOOD.replace("Requests/sec", "  Non-2xx or 3xx responses: 7\nRequests/sec");
        assert!(parse(&text).unwrap_err().to_string().contains("responses: 7"));
    }
}
