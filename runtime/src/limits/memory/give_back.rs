//! Returns freed memory to the operating system.
#![allow(unsafe_code, reason = "the C library's allocator is asked through libc alone")]

/// Makes the C library's allocator return unused memory to the operating system. Returns `false` if there was none, or
/// if the allocator is not glibc's, the only one supported.
///
/// An isolate's heap is returned when it ends; this is for memory that V8 and its libraries allocate elsewhere, such as
/// `Intl` objects, which may be several GiB. It takes about a tenth of a second per GiB, during which threads that
/// share an arena of the allocator wait. Call it after much memory was freed, and not often.
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
