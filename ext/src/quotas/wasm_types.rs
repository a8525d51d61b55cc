//! Types of WebAssembly, which V8 keeps for as long as the process lives, in a table that all isolates share. It aborts the
//! process when the table is full.
//!
//! Each script has a limit for the types that it adds, and all scripts together stay below V8's limit. Types that were added
//! before, for example by another worker of the script, do not count again.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use deno_core::{OpState, op2, v8};

use super::{QuotaError, Usage};

/// The number of types that all scripts of a process can add: a little less than V8's limit of 2,000,000.
const PROCESS_MAX: usize = 1_900_000;

/// The header of a module, the number of its section with types, and the smallest size of a type in bytes.
const TYPE_SECTION: u8 = 1;
const HEADER_BYTES: usize = 8;
const TYPE_BYTES_MIN: usize = 2;

/// The first byte of types that are declared as a group and count as one.
const GROUP: u8 = 0x4e;

/// The types that one script, or all scripts of a process, have added.
#[derive(Debug, Default)]
pub struct WasmTypes(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Hashes of sections and signatures.
    hashes: HashSet<u64>,
    types: usize,
}

impl WasmTypes {
    /// Adds types that are new. Returns `false` if there would be more than `max`.
    fn add(&self, hash: u64, types: usize, max: usize) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.hashes.contains(&hash) {
            return true;
        }
        let after = seen.types.saturating_add(types);
        if after > max {
            return false;
        }
        seen.types = after;
        seen.hashes.insert(hash);
        true
    }
}

/// Room for the types of a worker, in its state.
#[derive(Clone, Debug, Default)]
pub struct WasmTypeRoom {
    /// The types of its script, shared by all its workers.
    pub script: Arc<WasmTypes>,
    /// The types of the process.
    pub process: Arc<WasmTypes>,
    /// Hashes for both sets.
    pub hasher: RandomState,
}

impl WasmTypeRoom {
    fn ask(&self, key: &[u8], types: usize, script_max: usize) -> Result<(), QuotaError> {
        if types == 0 {
            return Ok(());
        }
        let hash = self.hasher.hash_one(key);
        if !self.script.add(hash, types, script_max) {
            return Err(QuotaError::WasmTypes(script_max));
        }
        match self.process.add(hash, types, PROCESS_MAX) {
            true => Ok(()),
            false => Err(QuotaError::WasmTypesOfProcess(PROCESS_MAX)),
        }
    }
}

fn ask(state: &OpState, key: &[u8], types: usize) -> Result<(), QuotaError> {
    // A worker without this state is not counted.
    let room = state.try_borrow::<WasmTypeRoom>();
    room.map_or(Ok(()), |room| room.ask(key, types, Usage::of(state).quotas.wasm_types))
}

/// Checks for room for the types of a module.
#[op2(nofast)]
pub(super) fn op_isopod_room_for_module(
    state: &mut OpState,
    module: v8::Local<'_, v8::ArrayBufferView>,
) -> Result<(), QuotaError> {
    let mut on_heap = [0; 64];
    let module = module.get_contents(&mut on_heap);
    type_sections(module).try_for_each(|section| ask(state, section, types_max(section)))
}

/// Checks for room for the type of a tag, given in full.
#[op2(nofast)]
pub(super) fn op_isopod_room_for_tag(state: &mut OpState, #[string] parameters: &str) -> Result<(), QuotaError> {
    ask(state, parameters.as_bytes(), 1)
}

/// The sections of a module that declare types: at most one, unless it is invalid.
fn type_sections(module: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = module.get(HEADER_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let (number, after) = rest.split_first()?;
            let (length, content) = unsigned(after)?;
            // V8 reads a truncated section up to its end.
            let (section, after) = content.split_at(content.len().min(length));
            rest = after;
            if *number == TYPE_SECTION {
                return Some(section);
            }
        }
    })
}

/// The largest number of types that a section can contain.
fn types_max(section: &[u8]) -> usize {
    let Some((entries, types)) = unsigned(section) else {
        return 0;
    };
    let all = types.len() / TYPE_BYTES_MIN;
    // Each entry is one type, if there are no groups.
    if types.contains(&GROUP) { all } else { entries.min(all) }
}

/// Reads a number in LEB128 of at most 32 bits: <https://webassembly.github.io/spec/core/binary/values.html#integers>.
fn unsigned(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with these sections.
    fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (number, content) in sections {
            module.push(*number);
            module.push(u8::try_from(content.len()).expect("a short section"));
            module.extend_from_slice(content);
        }
        module
    }

    fn types(module: &[u8]) -> usize {
        type_sections(module).map(types_max).sum()
    }

    #[test]
    fn types_are_counted_wherever_they_are_declared() {
        // Two functions; one without parameters, one with an i32.
        let two: &[u8] = &[2, 0x60, 0, 0, 0x60, 1, 0x7f, 0];
        assert_eq!(types(&module(&[(1, two)])), 2);
        assert_eq!(types(&module(&[(0, b"name"), (1, two), (3, &[1, 0])])), 2);
        // A module that is truncated, has no types, or is invalid.
        assert_eq!(types(&module(&[(1, two)])[..15]), 2);
        assert_eq!(types(&module(&[])), 0);
        assert_eq!(types(b"\0asm"), 0);
        // A group of two counts as one entry.
        let group: &[u8] = &[1, GROUP, 2, 0x60, 0, 0, 0x60, 1, 0x7f, 0];
        assert!(types(&module(&[(1, group)])) >= 2);
        // More types than the section has room for.
        assert_eq!(types(&module(&[(1, &[0xff, 0xff, 0x03, 0x60, 0, 0])])), 1);
    }

    #[test]
    fn the_same_types_again_need_no_room() {
        let room = WasmTypeRoom::default();
        assert!(room.ask(b"a", 3, 4).is_ok());
        assert!(room.ask(b"a", 3, 4).is_ok());
        assert_eq!(
            room.ask(b"b", 2, 4).expect_err("no room").to_string(),
            QuotaError::WasmTypes(4).to_string()
        );
        assert!(room.ask(b"c", 1, 4).is_ok());
        // Another script of the process.
        let other = WasmTypeRoom {
            script: Arc::default(),
            ..room.clone()
        };
        assert!(other.ask(b"d", PROCESS_MAX - 5, usize::MAX).is_ok());
        assert!(other.ask(b"e", 2, usize::MAX).is_err());
        assert!(other.ask(b"a", 3, usize::MAX).is_ok());
    }
}
