//! The record of the events that a worker's process has begun, for the time after its end.
//!
//! It is memory that the process shares with its pool's: what was written there before an event's code ran is there whenever the process
//! was killed afterwards. A message that says the same might never have left the process, and takes a system call.

#![allow(unsafe_code, reason = "shared memory is mapped by a system call")]

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// Number of places. The events of one place are 512 numbers apart.
const PLACES: usize = 512;

const BYTES: usize = PLACES * size_of::<AtomicU64>();

/// The events that a process has begun, in memory that two processes share.
///
/// The place of an event has the number after that of the newest event that has begun there. An older one that waits for long may
/// therefore count as begun.
#[derive(Debug)]
pub struct Begun(NonNull<[AtomicU64; PLACES]>);

// SAFETY: it owns the mapping, whose contents are atomic.
unsafe impl Send for Begun {}
// SAFETY: as above.
unsafe impl Sync for Begun {}

impl Begun {
    /// Creates the record of a process that is about to be started, and sends it along this stream, before anything else.
    ///
    /// # Errors
    /// The system's error, such as too many descriptors.
    pub fn create(to: &UnixStream) -> io::Result<Self> {
        let memory = memfd_create("isopod-begun", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut file = std::fs::File::from(memory);
        // Written, so that there is memory for it.
        file.write_all(&[0; BYTES])?;
        // The process cannot take memory away that this one reads.
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let memory = OwnedFd::from(file);
        let begun = Self::map(memory.as_fd())?;
        let descriptors = [memory.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(to, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
        Ok(begun)
    }

    /// Receives the record of this process, the first that the stream brings.
    ///
    /// # Errors
    /// The stream brings something else, or the system's error.
    pub fn receive(from: &UnixStream) -> io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = recvmsg(
            from,
            &mut [IoSliceMut::new(&mut byte)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let memory = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let memory = memory.ok_or_else(|| io::Error::other("its pool sends no memory for the record of events"))?;
        Self::map(memory.as_fd())
    }

    fn map(memory: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: a new mapping, of a file of this size that does not shrink.
        let place = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                memory.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(place.cast()) {
            Some(places) if place != libc::MAP_FAILED => Ok(Self(places)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn place(&self, event: u64) -> &AtomicU64 {
        // SAFETY: mapped until this is dropped, aligned as a page is, and zero at first. All access is atomic.
        let places = unsafe { self.0.as_ref() };
        #[expect(clippy::cast_possible_truncation, reason = "less than the number of places")]
        &places[(event % PLACES as u64) as usize]
    }

    /// Records that an event begins, in the process that runs it: nothing of the event may have been used before.
    pub fn begins(&self, event: u64) {
        self.place(event).fetch_max(event.saturating_add(1), Ordering::SeqCst);
    }

    /// Returns whether an event may have begun. If not, and the process has ended, then it has not and will not.
    #[must_use]
    pub fn may_have_begun(&self, event: u64) -> bool {
        self.place(event).load(Ordering::SeqCst) > event
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nothing refers to it any longer. It fails only for other arguments.
        let _ = unsafe { libc::munmap(self.0.as_ptr().cast(), BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Begun, Begun) {
        let (to, from) = UnixStream::pair().unwrap();
        (Begun::create(&to).unwrap(), Begun::receive(&from).unwrap())
    }

    #[test]
    fn a_process_is_told_which_events_another_has_begun() {
        let (reads, writes) = pair();
        assert!(!reads.may_have_begun(0));
        for event in [0, 3] {
            writes.begins(event);
        }
        assert_eq!(
            [0, 1, 2, 3].map(|event| reads.may_have_begun(event)),
            [true, false, false, true]
        );
    }

    #[test]
    fn an_old_event_of_the_place_of_a_new_one_counts_as_begun() {
        let (reads, writes) = pair();
        let (old, new) = (7, 7 + 3 * PLACES as u64);
        writes.begins(new);
        assert!(reads.may_have_begun(old) && reads.may_have_begun(new));
        writes.begins(old);
        assert!(reads.may_have_begun(new) && !reads.may_have_begun(new + PLACES as u64));
    }

    #[test]
    fn a_stream_without_memory_is_an_error() {
        let (mut to, from) = UnixStream::pair().unwrap();
        to.write_all(&[0]).unwrap();
        assert!(Begun::receive(&from).is_err());
    }
}
