//! Random numbers without waiting: early at boot, in a `chroot` without devices, and under a filter
//! of system calls.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use mmstats_system::docs;

use super::auxiliary::random_at_start;

#[doc = docs!(process::random)]
#[must_use]
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    if from_system(&mut bytes) || from_device(&mut bytes) {
        return bytes;
    }
    from_circumstances()
}

/// A random number for a temporary name.
#[allow(clippy::cast_possible_truncation)] // Each half is random.
pub(super) fn random_number() -> u64 {
    u128::from_ne_bytes(random()) as u64
}

/// Bytes of the kernel's generator, also before it is initialised.
fn from_system(bytes: &mut [u8; 16]) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))] // have this call
    {
        use rustix::rand::{GetRandomFlags, getrandom};
        // INSECURE since Linux 5.6: identities are no secrets.
        [GetRandomFlags::INSECURE, GetRandomFlags::NONBLOCK]
            .into_iter()
            .any(|flags| getrandom(&mut *bytes, flags) == Ok(16))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))] // by the device
    {
        let _ = bytes;
        false
    }
}

/// Bytes of `/dev/urandom`, which never waits.
fn from_device(bytes: &mut [u8; 16]) -> bool {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open("/dev/urandom", flags, Mode::empty())
        .and_then(|device| rustix::io::read(device, &mut *bytes))
        .is_ok_and(|read| read == 16)
}

/// A number that differs between calls, processes, and boots: from the random bytes and addresses of
/// the process, its id, the time and a counter. Not for secrets.
#[allow(clippy::cast_possible_truncation)] // The low bits of the time differ most.
fn from_circumstances() -> [u8; 16] {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let [first, second] = random_at_start().unwrap_or_default();
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let place = 0_u8;
    let words = [
        first,
        second,
        CALLS.fetch_add(1, Relaxed),
        std::process::id().into(),
        std::ptr::from_ref(&place).addr() as u64,
        std::ptr::from_ref(&CALLS).addr() as u64,
        time.as_nanos() as u64,
        monotonic.tv_sec.cast_unsigned() as u64,
        monotonic.tv_nsec.cast_unsigned() as u64,
    ];
    let half = |start: u64| words.iter().fold(start, |state, word| mix(state ^ word));
    let halves = [half(0x9e37_79b9_7f4a_7c15), half(0xd1b5_4a32_d192_ed03)];
    (u128::from(halves[0]) << 64 | u128::from(halves[1])).to_ne_bytes()
}

/// The finaliser of `SplitMix64`: each bit of the result depends on each bit of `state`.
const fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn random_of_each_source_differs_between_calls() {
        let device = || {
            let mut bytes = [0; 16];
            from_device(&mut bytes).then_some(bytes)
        };
        for source in [&|| Some(random()) as Option<_>, &device, &|| Some(from_circumstances())]
            as [&dyn Fn() -> Option<[u8; 16]>; 3]
        {
            let numbers: Vec<_> = (0..1000).map_while(|_| source()).collect();
            let distinct: BTreeSet<_> = numbers.iter().collect();
            assert_eq!(distinct.len(), numbers.len());
            // No bit is constant.
            let all = |join: fn(u128, u128) -> u128, start| {
                numbers.iter().fold(start, |all, bytes| join(all, u128::from_ne_bytes(*bytes)))
            };
            assert_eq!((all(|a, b| a | b, 0), all(|a, b| a & b, u128::MAX)), (u128::MAX, 0));
        }
    }
}
