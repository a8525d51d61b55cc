//! Logs a process's output line by line.

use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};

use crate::context::Context;

/// Time limit for the last log lines after the module ends: orphaned children may keep the output open.
const LAST_LINES: Duration = Duration::from_millis(250);

/// Logs a process's output as a task of its module.
pub(super) fn follow(
    ctx: &Context,
    output: impl AsyncRead + Unpin + Send + 'static,
    stream: &'static str,
    line_len_max: usize,
) {
    let token = ctx.token().clone();
    ctx.spawn(async move {
        let ended = async {
            token.cancelled().await;
            tokio::time::sleep(LAST_LINES).await;
        };
        tokio::select! {
            result = forward(output, stream, line_len_max) => result,
            () = ended => Ok(()),
        }
    });
}

/// Logs lines until the output ends. Buffers at most one line, and reads no faster than it logs.
async fn forward(
    output: impl AsyncRead + Unpin,
    stream: &'static str,
    line_len_max: usize,
) -> Result<(), std::io::Error> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while next(&mut output, &mut line, line_len_max).await? {
        tracing::info!(stream, "{}", String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(())
}

/// Reads a line, or as much of it as is allowed. `false` at the end.
async fn next(
    output: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    line_len_max: usize,
) -> std::io::Result<bool> {
    loop {
        let there = output.fill_buf().await?;
        if there.is_empty() {
            return Ok(!line.is_empty());
        }
        let room = there.len().min(line_len_max - line.len());
        let end = there[..room].iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(room, |end| end + 1);
        line.extend_from_slice(&there[..taken]);
        output.consume(taken);
        if end.is_some() || line.len() == line_len_max {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn long_lines_are_split_and_the_last_line_needs_no_newline() {
        let mut output: &[u8] = b"ab\nabcdefg\n\nxy";
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while block_on(next(&mut output, &mut line, 4)).unwrap() {
            lines.push(String::from_utf8(std::mem::take(&mut line)).unwrap());
        }
        assert_eq!(lines, ["ab\n", "abcd", "efg\n", "\n", "xy"]);
    }
}
