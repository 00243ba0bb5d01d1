//! Properties of processes.
#![allow(unsafe_code)] // Calls the system; each block has its proof.

use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::time::SystemTime;

use mmstats_system::docs;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, FILETIME, HANDLE, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Registry as reg;
use windows_sys::Win32::System::SystemInformation as info;
use windows_sys::Win32::System::Threading as win;

use super::os_error::code_of;
use super::security;
use super::win32::{EPOCH, check, whole};
use crate::{Facts, Result};

pub use mmstats_system::stub::process::{all, ignores_environment, mapped_files, random, status};

#[doc = docs!(process::facts)]
#[must_use]
pub fn facts() -> Facts {
    let mut facts = Facts::new(std::process::id(), SystemTime::now());
    if let Ok(identity) = security::process_identity() {
        facts.uid = Some(identity.user.last());
        facts.gid = Some(identity.group.last());
    }
    facts.boot_id = boot_id();
    // SAFETY: has no precondition; the handle of this process is always open.
    facts.start_time = start_time(unsafe { win::GetCurrentProcess() });
    facts.command = command();
    facts.host = host();
    facts
}

#[doc = docs!(process::uid)]
#[must_use]
pub fn uid() -> Option<u32> {
    security::process_identity().ok().map(|identity| identity.user.last())
}

#[doc = docs!(process::thread_id)]
#[must_use]
pub fn thread_id() -> Option<u64> {
    // SAFETY: has no precondition.
    Some(u64::from(unsafe { win::GetCurrentThreadId() }))
}

#[doc = docs!(process::coarse_time)]
#[inline]
#[must_use]
pub fn coarse_time() -> u64 {
    let mut time = FILETIME::default();
    // SAFETY: `time` has room for the answer.
    unsafe { info::GetSystemTimeAsFileTime(&raw mut time) };
    ticks(time).saturating_sub(EPOCH).saturating_mul(100)
}

#[doc = docs!(process::raise_open_files)]
pub const fn raise_open_files() -> Result<Option<u64>> {
    Ok(None)
}

#[doc = docs!(process::open_files)]
#[must_use]
pub const fn open_files() -> Option<u64> {
    None
}

#[doc = docs!(process::exists)]
#[must_use]
pub fn exists(pid: u32) -> Option<bool> {
    // The idle process, which cannot be queried.
    if pid == 0 {
        return None;
    }
    match open_process(pid) {
        Ok(process) => is_active(&process),
        Err(code) => exists_by_code(code),
    }
}

#[doc = docs!(process::is_running)]
#[must_use]
pub fn is_running(pid: u32, start: u64, boot: &str) -> Option<bool> {
    if boot_id()? != boot {
        return Some(false);
    }
    has_start(pid, start)
}

/// As [`is_running`], in this boot.
fn has_start(pid: u32, start: u64) -> Option<bool> {
    match open_process(pid) {
        Ok(process) if start_time(process.as_raw_handle())? == start => is_active(&process),
        Ok(_) => Some(false),
        Err(code) => exists_by_code(code),
    }
}

/// Opens a process for queries.
///
/// # Errors
///
/// The code of the system.
fn open_process(pid: u32) -> core::result::Result<OwnedHandle, u32> {
    let rights = win::PROCESS_QUERY_LIMITED_INFORMATION | win::PROCESS_SYNCHRONIZE;
    // SAFETY: has no precondition.
    let handle = unsafe { win::OpenProcess(rights, 0, pid) };
    if handle.is_null() {
        return Err(code_of(&std::io::Error::last_os_error()).unwrap_or(0));
    }
    // SAFETY: the system has just opened the handle, and nothing else owns it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Whether a process exists that could not be opened.
const fn exists_by_code(code: u32) -> Option<bool> {
    match code {
        // A process of another user.
        ERROR_ACCESS_DENIED => Some(true),
        ERROR_INVALID_PARAMETER => Some(false),
        _ => None,
    }
}

/// Whether a process has not ended. It exists longer, as long as a handle to it is open.
fn is_active(process: &OwnedHandle) -> Option<bool> {
    // SAFETY: the handle is open.
    match unsafe { win::WaitForSingleObject(process.as_raw_handle(), 0) } {
        WAIT_TIMEOUT => Some(true),
        WAIT_OBJECT_0 => Some(false),
        _ => None,
    }
}

/// In units of 100 ns since 1601.
fn start_time(process: HANDLE) -> Option<u64> {
    let [mut start, mut end, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the handle is open, and all answers have room.
    check(unsafe {
        win::GetProcessTimes(process, &raw mut start, &raw mut end, &raw mut kernel, &raw mut user)
    })
    .ok()?;
    Some(ticks(start)).filter(|&start| start > 0)
}

/// Identity of the machine and number of its boot. (wine has no such number.)
fn boot_id() -> Option<String> {
    let machine = r"SOFTWARE\Microsoft\Cryptography";
    let memory = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management";
    let mut text = [0_u16; 64];
    let flags = reg::RRF_RT_REG_SZ | reg::RRF_SUBKEY_WOW6464KEY;
    let size = value(machine, "MachineGuid", flags, &mut text)?;
    let machine = String::from_utf16_lossy(text.get(..size / 2)?);
    let mut boots = [0_u32];
    value(&format!(r"{memory}\PrefetchParameters"), "BootId", reg::RRF_RT_REG_DWORD, &mut boots)?;
    Some(format!("{}-{}", machine.trim_end_matches('\0'), boots[0]))
}

/// Reads a value of the registry of the machine into `room`; returns its size in bytes.
fn value<T: Copy>(key: &str, name: &str, flags: u32, room: &mut [T]) -> Option<usize> {
    let wide = |text: &str| text.encode_utf16().chain([0]).collect::<Vec<u16>>();
    let (key, name) = (wide(key), wide(name));
    let mut size = u32::try_from(size_of_val(room)).ok()?;
    // SAFETY: both texts end in a zero; `room` has `size` bytes of an integer type; the type of the
    // value is not requested.
    let code = unsafe {
        reg::RegGetValueW(
            reg::HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            name.as_ptr(),
            flags,
            ptr::null_mut(),
            room.as_mut_ptr().cast::<c_void>(),
            &raw mut size,
        )
    };
    (code == 0).then_some(size as usize)
}

/// Base name of the first argument, else of the executable, without `.exe`.
fn command() -> Option<String> {
    let base = |path: &Path| {
        let is_exe = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("exe"));
        let name = if is_exe { path.file_stem() } else { path.file_name() };
        Some(name?.to_string_lossy().into_owned()).filter(|name| !name.is_empty())
    };
    std::env::args_os()
        .next()
        .and_then(|argument| base(Path::new(&argument)))
        .or_else(|| base(&std::env::current_exe().ok()?))
}

fn host() -> Option<String> {
    let mut name = [0_u16; 256];
    let mut len = 256;
    // SAFETY: `name` has `len` characters.
    check(unsafe {
        info::GetComputerNameExW(info::ComputerNameDnsHostname, name.as_mut_ptr(), &raw mut len)
    })
    .ok()?;
    let name = String::from_utf16_lossy(name.get(..len as usize)?);
    Some(name).filter(|name| !name.is_empty())
}

/// In units of 100 ns.
const fn ticks(time: FILETIME) -> u64 {
    whole(time.dwHighDateTime, time.dwLowDateTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_describe_this_process() {
        let facts = facts();
        assert_eq!(facts.pid, std::process::id());
        let command = facts.command.unwrap();
        assert!(command.starts_with("mmstats_windows") && !command.ends_with(".exe"), "{command}");
        assert!(facts.host.is_some());
        assert!(facts.uid.is_some() && facts.gid.is_some());
        assert!(facts.start_time.unwrap() > EPOCH);
    }

    #[test]
    fn thread_id_differs_between_threads() {
        assert_ne!(std::thread::spawn(thread_id).join().unwrap(), thread_id());
    }

    #[test]
    fn coarse_time_agrees_with_the_standard_library() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!(now.as_nanos().abs_diff(coarse_time().into()) < 1_000_000_000);
    }

    #[test]
    fn is_running_needs_id_start_and_boot() {
        let facts = facts();
        assert_eq!(exists(facts.pid), Some(true));
        // Process ids are multiples of 4.
        assert_eq!(exists(u32::MAX - 3), Some(false));
        let start = facts.start_time.unwrap();
        assert_eq!(has_start(facts.pid, start), Some(true));
        assert_eq!(has_start(facts.pid, start + 1), Some(false));
        assert_eq!(has_start(u32::MAX - 3, start), Some(false));
        // wine has no number of the boot.
        let Some(boot) = facts.boot_id else { return };
        assert_eq!(is_running(facts.pid, start, &boot), Some(true));
        assert_eq!(is_running(facts.pid, start + 1, &boot), Some(false));
        assert_eq!(is_running(facts.pid, start, "another boot"), Some(false));
        assert_eq!(is_running(u32::MAX - 3, start, &boot), Some(false));
    }

    #[test]
    fn exists_of_ended_process_is_false() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .arg("--list")
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        child.wait().unwrap();
        // A handle to it is still open.
        assert_eq!(exists(child.id()), Some(false));
    }
}
