//! Limits of a command. There are none by default, except the machine's memory.

use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use isopod::{Limits, Quotas};

#[derive(Args)]
pub(super) struct LimitArguments {
    /// Limit on the total CPU time, such as 500ms or 10s. Default: none
    #[arg(long, value_name = "TIME", value_parser = time)]
    cpu: Option<Duration>,
    /// Limit on memory, such as 512MiB. Default: the machine's memory
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<ByteSize>,
    /// Limit on wall time, waiting included. Default: none
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) wall: Option<Duration>,
}

fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("should be a duration above zero with a unit, such as 500ms, 10s or 2m".to_owned()),
    }
}

fn size(text: &str) -> Result<ByteSize, String> {
    match text.parse() {
        Ok(size @ ByteSize(least)) if least >= Limits::MEMORY_BYTES_MIN as u64 => Ok(size),
        Ok(_) => Err(format!("should be {} MiB or more", Limits::MEMORY_BYTES_MIN >> 20)),
        Err(_) => Err("should be a size with a unit, such as 64MiB or 1GB".to_owned()),
    }
}

impl LimitArguments {
    pub(super) fn limits(&self) -> Limits {
        let cpu = self.cpu.unwrap_or(Duration::MAX);
        let memory = self.memory.map_or_else(machine_memory, |size| size.as_u64());
        Limits::default()
            .cpu(cpu)
            .boot_cpu(cpu)
            .memory_bytes(usize::try_from(memory).unwrap_or(usize::MAX))
            .quotas(quotas())
    }
}

/// Unlimited quotas: they protect workers from each other, and a command is alone. The limit on errors logged per turn stays.
fn quotas() -> Quotas {
    Quotas::default()
        .timers(usize::MAX)
        .pending_ops(usize::MAX)
        .subrequests(usize::MAX)
        .storage_operations(usize::MAX)
        .rpc_stubs(usize::MAX)
        .rpc_path(1_000)
        .rpc_depth(1_000)
        .log_lines(usize::MAX)
        .log_bytes(usize::MAX)
        .message_bytes(usize::MAX)
        .wait_until_promises(usize::MAX)
        .handles(usize::MAX)
        .native_bytes(usize::MAX)
        .wasm_types(usize::MAX)
        .pbkdf2_iterations(u32::MAX)
        .rsa_bits(u32::MAX)
        .sockets(usize::MAX)
        .connections(usize::MAX)
        .event_connections(usize::MAX)
}

/// Memory of the machine. V8 needs a limit and ends the process silently beyond it; at this one the script ends with a message.
fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = info.totalram.saturating_mul(u64::from(info.mem_unit));
    // In a container, the control group's limit applies; the file contains `max` if there is none.
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max");
    let group = group.ok().and_then(|text| text.trim().parse().ok());
    group.map_or(machine, |group: u64| group.min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_a_unit_and_is_above_zero() {
        assert_eq!(time("1m 30s"), Ok(Duration::from_secs(90)));
        for wrong in ["0s", "5", "-1s", ""] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size("64MiB").map(|size| size.as_u64()), Ok(64 << 20));
        for wrong in ["1KiB", "much", "-1GB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_default_limit_is_the_machine_s_memory() {
        assert!(machine_memory() >= 128 << 20);
    }
}
