//! Memory that was freed, and that the allocator keeps for what comes next.
#![allow(unsafe_code, reason = "the C library's allocator is asked through libc alone")]

/// Has the C library's allocator give the memory that it keeps and does not use back to the operating system. `false` where
/// there was none, or where the allocator is not glibc's, which alone is asked.
///
/// An isolate's own heap is given back when it ends; this is for what V8 and its libraries allocate beside it, such as `Intl`
/// objects, of which there may be some GiB. It takes about a tenth of a second for a GiB, in which threads that share
/// an arena of the allocator with one that has freed much wait for it: call it after much was freed, not often.
pub fn give_back_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it takes the allocator's own locks, and may be called on any thread at any time.
        unsafe { libc::malloc_trim(0) == 1 }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        false
    }
}
