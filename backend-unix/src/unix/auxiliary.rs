//! Values that the kernel gives a new process: whether its environment can be trusted, and random
//! bytes.
#![allow(unsafe_code)] // The auxiliary vector, which rustix does not offer; each block has its proof.

use mmstats_system::docs;

#[doc = docs!(process::ignores_environment)]
#[must_use]
pub fn ignores_environment() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))] // have the vector
    {
        // SAFETY: has no precondition.
        (unsafe { libc::getauxval(libc::AT_SECURE) }) != 0
    }
    // Their flag is set as AT_SECURE is.
    #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd"
    ))]
    {
        unsafe extern "C" {
            safe fn issetugid() -> libc::c_int;
        }
        issetugid() != 0
    }
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd"
    )))] // compares the ids
    {
        use rustix::process::{getegid, geteuid, getgid, getuid};
        getuid() != geteuid() || getgid() != getegid()
    }
}

/// Random numbers that this process got at its `exec`: the same at each call, and in its forked
/// children. `None` where the system gives none.
pub(super) fn random_at_start() -> Option<[u64; 2]> {
    #[cfg(any(target_os = "linux", target_os = "android"))] // have the vector
    {
        // SAFETY: has no precondition.
        let address = unsafe { libc::getauxval(libc::AT_RANDOM) };
        let address = std::ptr::with_exposed_provenance::<[u64; 2]>(usize::try_from(address).ok()?);
        // SAFETY: if the entry exists, it is the address of 16 bytes that the kernel has put on the
        // stack of the process, and that stay there; any alignment is allowed.
        (!address.is_null()).then(|| unsafe { address.read_unaligned() })
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))] // have no vector
    None
}
