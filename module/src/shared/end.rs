//! One side's access to the shared memory: a publisher of its own bodies, and a subscriber to those of the other side.
//!
//! iceoryx2 keeps the order of bodies, and frames announce them in the same order over the socket. Neither call blocks:
//! the queue between the sides has room for all slots, and a body without a slot is the caller's to send otherwise.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::update_connections::UpdateConnections;
use iceoryx2::prelude::{
    AllocationStrategy, BackpressureStrategy, Config, FileName, NodeBuilder, Path as IoxPath, PayloadHeader,
    SemanticString, ServiceName, SignalHandlingMode, ipc_threadsafe,
};
use iceoryx2::sample::Sample;
use iceoryx2::sample_mut::SampleMut;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;

use super::area::{self, Area};
use super::error::SharedError;
use super::hold::{Hold, Holds};
use super::terms::SharedTerms;

type Service = ipc_threadsafe::Service;
type Bodies = PortFactory<Service, [u8], ()>;

/// Bodies from the host to the module.
const DOWN: &str = "down";
/// Bodies from the module to the host.
const UP: &str = "up";
/// A smaller body is copied out of its slot, because it would keep the whole slot.
const KEPT_BYTES_MIN: usize = 64 << 10;

/// One side's access to shared memory.
pub struct End {
    outlet: Publisher<Service, [u8], ()>,
    inlet: Subscriber<Service, [u8], ()>,
    terms: SharedTerms,
    holds: Arc<Holds>,
    /// As long as a slot, once a slot of zeros was asked for. It is never written, and takes no memory.
    zeros: OnceLock<Vec<u8>>,
    /// On the host's side. Dropped last, because it removes the files.
    area: Option<Arc<Area>>,
}

#[derive(Clone, Copy)]
enum Side {
    Host,
    Module,
}

impl End {
    /// Creates the memory that these terms describe in an area, for the host. `holds` limits the received bodies that stay in
    /// the memory.
    ///
    /// # Errors
    /// There is not enough memory, or iceoryx2 fails.
    pub fn create(area: Arc<Area>, terms: SharedTerms, holds: Arc<Holds>) -> Result<Self, SharedError> {
        Self::build(Side::Host, terms, holds, Some(area))
    }

    /// Opens the memory that a host offers.
    ///
    /// # Errors
    /// There is not enough memory, or iceoryx2 fails.
    pub fn open(terms: &SharedTerms) -> Result<Self, SharedError> {
        let holds = Holds::new(terms.slots as usize / 2);
        Self::build(Side::Module, terms.clone(), holds, None)
    }

    fn build(side: Side, terms: SharedTerms, holds: Arc<Holds>, area: Option<Arc<Area>>) -> Result<Self, SharedError> {
        let node = NodeBuilder::new()
            // Signals are the program's.
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .config(&config(&terms)?)
            .create::<Service>()
            .map_err(|error| failed("create a node", error))?;
        let slots = terms.slots as usize;
        let service = |name: &str| -> Result<Bodies, SharedError> {
            let name = ServiceName::new(name).map_err(|error| failed("name a service", error))?;
            let bodies = node.service_builder(&name).publish_subscribe::<[u8]>();
            match side {
                Side::Host => bodies
                    .max_nodes(2)
                    .max_publishers(1)
                    .max_subscribers(1)
                    .history_size(0)
                    .enable_safe_overflow(false)
                    .subscriber_max_buffer_size(slots)
                    .subscriber_max_borrowed_samples(slots)
                    .create()
                    .map_err(|error| failed("create a service", error)),
                Side::Module => bodies.open().map_err(|error| failed("open a service", error)),
            }
        };
        let (down, up) = (service(DOWN)?, service(UP)?);
        let (sends, receives) = match side {
            Side::Host => (down, up),
            Side::Module => (up, down),
        };
        let outlet = sends
            .publisher_builder()
            .initial_max_slice_len(terms.body_bytes_max as usize)
            .allocation_strategy(AllocationStrategy::Static)
            .max_loaned_samples(slots)
            .backpressure_strategy(BackpressureStrategy::DiscardData)
            // Fewer than the worst case, so that the queue of the other side can never be full.
            .override_sample_preallocation(move |_| slots)
            .create()
            .map_err(|error| failed("create a publisher", error))?;
        let inlet = receives
            .subscriber_builder()
            .create()
            .map_err(|error| failed("create a subscriber", error))?;
        area::reserve(&terms.name)?;
        Ok(Self {
            outlet,
            inlet,
            terms,
            holds,
            zeros: OnceLock::new(),
            area,
        })
    }

    /// Returns the host's offer.
    #[must_use]
    pub const fn terms(&self) -> &SharedTerms {
        &self.terms
    }

    /// Connects to the other side, which must have opened the memory.
    ///
    /// # Errors
    /// It cannot be connected to.
    pub fn connect(&self) -> Result<(), SharedError> {
        let connected = self.inlet.update_connections();
        let connected = connected.and_then(|()| self.outlet.update_connections());
        connected.map_err(|error| failed("connect to the other side", error))
    }

    /// Returns whether bodies of this length go through the memory.
    #[must_use]
    pub const fn takes(&self, length: usize) -> bool {
        let SharedTerms {
            body_bytes_min: min,
            body_bytes_max: max,
            ..
        } = self.terms;
        length > 0 && length >= min as usize && length <= max as usize
    }

    /// Copies a body into a slot, if its length allows that and one is free.
    #[must_use]
    pub fn loan(&self, body: &[u8]) -> Option<Loan> {
        if !self.takes(body.len()) {
            return None;
        }
        let slot = self.outlet.loan_slice_uninit(body.len()).ok()?;
        Some(Loan(slot.write_from_slice(body)))
    }

    /// Takes a slot of this length, filled with zeros, if one is free.
    #[must_use]
    pub fn slot(&self, length: usize) -> Option<Loan> {
        let zeros = self.zeros.get_or_init(|| vec![0; self.terms.body_bytes_max as usize]);
        self.loan(zeros.get(..length)?)
    }

    /// Receives the next body, which a frame announced with this length. It stays in shared memory if it is large and not too
    /// many others do; otherwise it is copied, and its slot is free at once.
    ///
    /// # Errors
    /// It is not there, or has another length.
    pub fn receive(&self, length: usize) -> Result<Bytes, SharedError> {
        let sample = self.next(length)?;
        let hold = (length >= KEPT_BYTES_MIN).then(|| self.holds.take()).flatten();
        Ok(match hold {
            Some(hold) => Bytes::from_owner(Kept {
                sample,
                _hold: hold,
                _area: self.area.clone(),
            }),
            None => Bytes::copy_from_slice(sample.payload()),
        })
    }

    /// Receives a copy of the next body. For text that is going to be parsed: the other side could still change the memory.
    ///
    /// # Errors
    /// As [`End::receive`].
    pub fn receive_copy(&self, length: usize) -> Result<Bytes, SharedError> {
        let sample = self.next(length)?;
        Ok(Bytes::copy_from_slice(sample.payload()))
    }

    fn next(&self, length: usize) -> Result<Sample<Service, [u8], ()>, SharedError> {
        let received = self.inlet.receive();
        let received = received.map_err(|error| failed("receive a body", error))?;
        let sample = received.ok_or(SharedError::Missing)?;
        // Before the payload is looked at: its length is in memory that the other side writes.
        match sample.header().number_of_elements() {
            there if there == length as u64 && length <= self.terms.body_bytes_max as usize => Ok(sample),
            there => Err(SharedError::Length {
                there,
                declared: length,
            }),
        }
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End")
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// A slot that is being written. It is free again when it is dropped.
#[derive(Debug)]
pub struct Loan(SampleMut<Service, [u8], ()>);

impl Loan {
    /// Sends the slot to the other side. Returns whether it is there.
    #[must_use]
    pub fn send(self) -> bool {
        matches!(self.0.send(), Ok(1))
    }
}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.payload()
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.payload_mut()
    }
}

/// A received body that stays in shared memory. The fields are dropped in this order.
struct Kept {
    sample: Sample<Service, [u8], ()>,
    _hold: Hold,
    _area: Option<Arc<Area>>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        self.sample.payload()
    }
}

fn config(terms: &SharedTerms) -> Result<Config, SharedError> {
    let refused = |_| SharedError::Path(terms.folder.clone().into());
    let mut config = Config::default();
    let root = IoxPath::new(terms.folder.as_bytes()).map_err(refused)?;
    config.global.set_root_path(&root);
    config.global.prefix = FileName::new(area::prefix(&terms.name).as_bytes()).map_err(refused)?;
    // The area is removed as a whole.
    config.global.node.cleanup_dead_nodes_on_creation = false;
    config.global.node.cleanup_dead_nodes_on_destruction = false;
    config.global.service.cleanup_dead_nodes_on_open = false;
    Ok(config)
}

fn failed(action: &'static str, error: impl fmt::Debug) -> SharedError {
    SharedError::Library {
        action,
        reason: format!("{error:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::pair::{MIB, Pair, pair};

    fn objects(of: &str) -> usize {
        let prefix = format!("isopod_{}_{of}_", std::process::id());
        let objects = std::fs::read_dir("/dev/shm").unwrap();
        let is_own = |name: std::ffi::OsString| name.to_str().is_some_and(|name| name.starts_with(&prefix));
        objects
            .filter(|entry| is_own(entry.as_ref().unwrap().file_name()))
            .count()
    }

    #[test]
    fn bodies_arrive_in_order_in_both_directions() {
        let Pair { host, module, .. } = pair("order");
        for round in 0..20_u8 {
            for n in 0..4_u8 {
                assert!(module.loan(&vec![n ^ round; 2000 + usize::from(n)]).unwrap().send());
                assert!(host.loan(&vec![n; 100_000]).unwrap().send());
            }
            for n in 0..4_u8 {
                let body = host.receive(2000 + usize::from(n)).unwrap();
                assert!(body.iter().all(|byte| *byte == n ^ round));
                assert_eq!(module.receive_copy(100_000).unwrap(), vec![n; 100_000]);
            }
        }
    }

    #[test]
    fn a_body_without_a_slot_is_returned_to_its_sender() {
        let Pair { host, module, .. } = pair("slots");
        let large = vec![1; MIB];
        assert!(module.loan(&[1; 1023]).is_none(), "too small");
        assert!(module.loan(&vec![1; MIB + 1]).is_none(), "too large");
        for _ in 0..4 {
            assert!(module.loan(&large).unwrap().send());
        }
        assert!(module.loan(&large).is_none(), "all slots are used");
        drop(host.receive_copy(MIB).unwrap());
        assert!(module.loan(&large).is_some());
    }

    #[test]
    fn bodies_stay_in_the_memory_up_to_a_limit_and_are_copied_above_it() {
        let Pair {
            host, module, holds, ..
        } = pair("kept");
        let mut kept = Vec::new();
        for n in 0..20_u8 {
            assert!(module.loan(&vec![n; MIB]).unwrap().send());
            kept.push(host.receive(MIB).unwrap());
        }
        assert!(holds.take().is_none());
        for (n, body) in kept.iter().enumerate() {
            assert!(body.len() == MIB && body.iter().all(|byte| usize::from(*byte) == n));
        }
        drop(kept);
        assert!(holds.take().is_some());
    }

    #[test]
    fn kept_bodies_outlive_both_sides_and_then_the_files_are_gone() {
        let Pair {
            host, module, folder, ..
        } = pair("outlive");
        assert!(module.loan(&vec![7; MIB]).unwrap().send());
        let body = host.receive(MIB).unwrap();
        drop((host, module));
        assert!(body.iter().all(|byte| *byte == 7));
        assert!(objects("outlive") > 0);
        drop(body);
        assert_eq!(objects("outlive"), 0);
        let left = std::fs::read_dir(folder.path()).unwrap();
        let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["lock"]);
    }

    #[test]
    fn announced_bodies_that_are_missing_or_of_another_length_are_errors() {
        let Pair { host, module, .. } = pair("lengths");
        assert!(matches!(host.receive(2000), Err(SharedError::Missing)));
        assert!(module.loan(&[1; 2000]).unwrap().send());
        let error = host.receive(MIB).unwrap_err();
        assert!(
            matches!(
                error,
                SharedError::Length {
                    there: 2000,
                    declared: MIB
                }
            ),
            "{error}"
        );
        // The slot is free again.
        for _ in 0..4 {
            assert!(module.loan(&[1; 2000]).unwrap().send());
        }
    }
}
