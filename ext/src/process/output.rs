//! Standard output and standard error.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use deno_core::{OpState, op2};

use super::{ProcessError, access};

/// Delay before retrying a full non-blocking pipe.
const RETRY_AFTER: Duration = Duration::from_millis(1);

/// Writes everything before it returns, as `console` does, so that the outputs of both are in order and complete at the
/// script's end. A slow reader delays the script, and nothing is buffered.
#[op2(fast)]
pub(super) fn op_isopod_process_write(
    state: &mut OpState,
    is_error: bool,
    #[buffer] bytes: &[u8],
) -> Result<(), ProcessError> {
    let exit = &access(state, "standard output")?.exit;
    if is_error {
        return write_all(std::io::stderr().lock(), bytes)
            .map_err(|error| ProcessError::Io("cannot write to standard error", error));
    }
    match write_all(std::io::stdout().lock(), bytes) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            exit.for_broken_pipe();
            Ok(())
        }
        result => result.map_err(|error| ProcessError::Io("cannot write to standard output", error)),
    }
}

/// Writes everything to a standard stream.
///
/// # Errors
/// The operating system's error, except that a non-blocking pipe is full.
pub fn write_all(mut to: impl Write, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) => wait_or(error)?,
        }
    }
    while let Err(error) = to.flush() {
        wait_or(error)?;
    }
    Ok(())
}

/// Another program that shares the pipe may have made it non-blocking.
fn wait_or(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock => std::thread::sleep(RETRY_AFTER),
        ErrorKind::Interrupted => {}
        _ => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts three bytes at a time, and none every other time.
    struct Slow(Vec<u8>, bool);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let length = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn writing_waits_for_a_full_pipe() {
        let mut slow = Slow(Vec::new(), false);
        write_all(&mut slow, b"eight by").expect("all of it");
        assert_eq!(slow.0, b"eight by");
    }
}
