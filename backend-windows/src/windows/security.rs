//! Owners and access lists of files and directories.
//!
//! New ones are for this user alone. Existing ones are trusted only if no other user may write to
//! them.
#![allow(unsafe_code)] // Calls the system; each block has its proof.

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security as sec;
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::os_error::code_of;
use super::win32::check;
use crate::Access;

/// Security identifier of a user or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sid(Box<[u8]>);

impl Sid {
    /// Copies an identifier of the system.
    ///
    /// # Safety
    ///
    /// `sid` must point to a valid identifier.
    unsafe fn copy(sid: sec::PSID) -> Self {
        // SAFETY: the identifier is valid.
        let len = unsafe { sec::GetLengthSid(sid) } as usize;
        // SAFETY: it has `len` bytes, which do not change during the copy.
        Self(unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), len) }.into())
    }

    /// Last number, which distinguishes the users of one machine or domain.
    pub(super) fn last(&self) -> u32 {
        self.numbers().last().unwrap_or(0)
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        let numbers = self.0.get(8..).unwrap_or_default();
        numbers.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// Text form, as `S-1-5-18`.
    fn text(&self) -> String {
        let authority = self.0.get(2..8).unwrap_or_default();
        let authority = authority.iter().fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
        self.numbers().fold(format!("S-1-{authority}"), |text, number| format!("{text}-{number}"))
    }

    /// Whether it has all rights on this machine anyway.
    fn is_privileged(&self) -> bool {
        let text = self.text();
        // Owner of the file, system, administrators.
        ["S-1-3-4", "S-1-5-18", "S-1-5-32-544"].contains(&&*text) || text.starts_with(INSTALLER)
    }
}

/// Identity of this process, from its token.
pub(super) struct ProcessIdentity {
    pub(super) user: Sid,
    pub(super) group: Sid,
    /// Owner of new files: the user, or for some administrators their group.
    owner: Sid,
}

impl ProcessIdentity {
    /// Whether `sid` is the user or the default owner of this process.
    pub(super) fn includes(&self, sid: &Sid) -> bool {
        *sid == self.user || *sid == self.owner
    }
}

/// Identity of this process.
pub(super) fn process_identity() -> io::Result<&'static ProcessIdentity> {
    static IDENTITY: OnceLock<ProcessIdentity> = OnceLock::new();
    if let Some(identity) = IDENTITY.get() {
        return Ok(identity);
    }
    let mut token = ptr::null_mut();
    // SAFETY: has no precondition.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the handle of this process is always open, and `token` has room for the answer.
    check(unsafe { OpenProcessToken(process, sec::TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: the system has just opened the handle, and nothing else owns it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // All three structures begin with a pointer to an identifier.
    let sid = |class| {
        let answer = answer(|buffer, size, needed| {
            // SAFETY: the token is open; `buffer` has `size` bytes.
            check(unsafe {
                sec::GetTokenInformation(token.as_raw_handle(), class, buffer, size, needed)
            })
        })?;
        let sid = answer.as_ptr().cast::<sec::PSID>();
        // SAFETY: the answer is at least as large as a pointer, aligned to 8, and begins with
        // one.
        let sid = unsafe { sid.read() };
        // SAFETY: the pointer is to an identifier in `answer`, which still lives.
        Ok::<_, io::Error>(unsafe { Sid::copy(sid) })
    };
    let identity = ProcessIdentity {
        user: sid(sec::TokenUser)?,
        group: sid(sec::TokenPrimaryGroup)?,
        owner: sid(sec::TokenOwner)?,
    };
    Ok(IDENTITY.get_or_init(|| identity))
}

/// Security descriptor of a new file or directory.
#[derive(Debug)]
pub(super) struct Descriptor(sec::PSECURITY_DESCRIPTOR);

impl Descriptor {
    /// For a file: its owner reads and writes, other users read as `access` permits.
    pub(super) fn for_file(access: Access) -> io::Result<Self> {
        let identity = process_identity()?;
        let reader = match access {
            Access::Group => format!("(A;;FR;;;{})", identity.group.text()),
            Access::Everybody => "(A;;FR;;;WD)".to_owned(),
            _ => String::new(),
        };
        Self::from_text(&format!("{}{reader}", owner_only(identity, "")))
    }

    /// For a directory and all new files in it: access for its owner alone.
    pub(super) fn for_directory() -> io::Result<Self> {
        Self::from_text(&owner_only(process_identity()?, "OICI"))
    }

    fn from_text(text: &str) -> io::Result<Self> {
        let wide: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut descriptor = ptr::null_mut();
        // SAFETY: the text ends in a zero, `descriptor` has room for a pointer, and the size is not
        // requested.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                wide.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                ptr::null_mut(),
            )
        })?;
        Ok(Self(descriptor))
    }

    /// Pointer for the system, which does not change the descriptor.
    pub(super) const fn as_ptr(&self) -> sec::PSECURITY_DESCRIPTOR {
        self.0
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for release by `LocalFree`, and it is no longer in use.
        unsafe { LocalFree(self.0) };
    }
}

/// Text of a descriptor with this user as owner, and access for it, the system and the
/// administrators. Nothing is inherited from the directory above.
fn owner_only(identity: &ProcessIdentity, flags: &str) -> String {
    let user = identity.user.text();
    format!("O:{user}D:P(A;{flags};FA;;;{user})(A;{flags};FA;;;SY)(A;{flags};FA;;;BA)")
}

/// Owner and access list of an open file or directory.
pub(super) struct FileSecurity(Vec<u64>);

impl FileSecurity {
    /// Reads the owner, and `with_list` the access list too. Needs the right `READ_CONTROL`.
    pub(super) fn read(file: &File, with_list: bool) -> io::Result<Self> {
        let list = if with_list { sec::DACL_SECURITY_INFORMATION } else { 0 };
        let parts = sec::OWNER_SECURITY_INFORMATION | list;
        answer(|buffer, size, needed| {
            // SAFETY: the handle is open; `buffer` has `size` bytes.
            check(unsafe {
                sec::GetKernelObjectSecurity(file.as_raw_handle(), parts, buffer, size, needed)
            })
        })
        .map(Self)
    }

    /// Owner.
    pub(super) fn owner(&self) -> io::Result<Sid> {
        let (mut owner, mut defaulted) = (ptr::null_mut(), 0);
        // SAFETY: the system made the descriptor, and both answers have room.
        check(unsafe {
            sec::GetSecurityDescriptorOwner(self.as_ptr(), &raw mut owner, &raw mut defaulted)
        })?;
        if owner.is_null() {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        // SAFETY: the pointer is to an identifier in the descriptor, which lives.
        Ok(unsafe { Sid::copy(owner) })
    }

    /// Whether a user other than this one and the privileged ones may write to the directory, remove
    /// its files, or grant such rights.
    pub(super) fn others_may_write(&self) -> io::Result<bool> {
        self.others_may(WRITES)
    }

    /// Whether such a user has one of these rights.
    fn others_may(&self, rights: u32) -> io::Result<bool> {
        let identity = process_identity()?;
        let (mut present, mut list, mut defaulted) = (0, ptr::null_mut(), 0);
        // SAFETY: the system made the descriptor, and all answers have room.
        check(unsafe {
            sec::GetSecurityDescriptorDacl(
                self.as_ptr(),
                &raw mut present,
                &raw mut list,
                &raw mut defaulted,
            )
        })?;
        // Without a list everybody has all rights.
        if present == 0 || list.is_null() {
            return Ok(true);
        }
        // SAFETY: the list is in the descriptor, which lives.
        let count = unsafe { (*list).AceCount };
        for index in 0..u32::from(count) {
            let mut entry = ptr::null_mut();
            // SAFETY: the list is valid, and `entry` has room for a pointer.
            check(unsafe { sec::GetAce(list, index, &raw mut entry) })?;
            // SAFETY: every entry begins with such a header.
            let header = unsafe { entry.cast::<sec::ACE_HEADER>().read() };
            // Entries that only new files inherit, and entries that deny rights.
            if u32::from(header.AceFlags) & sec::INHERIT_ONLY_ACE != 0
                || [DENIED, DENIED_OBJECT, DENIED_CALLBACK].contains(&header.AceType)
            {
                continue;
            }
            // SAFETY: all kinds of entries that grant rights have the mask here.
            let mask = unsafe { (*entry.cast::<sec::ACCESS_ALLOWED_ACE>()).Mask };
            if mask & rights == 0 {
                continue;
            }
            if header.AceType != ALLOWED {
                return Ok(true);
            }
            // SAFETY: as above; only the address is computed.
            let sid = unsafe { &raw const (*entry.cast::<sec::ACCESS_ALLOWED_ACE>()).SidStart };
            // SAFETY: entries of this kind end in an identifier, in the list, which lives.
            let sid = unsafe { Sid::copy(sid.cast_mut().cast()) };
            if !identity.includes(&sid) && !sid.is_privileged() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn as_ptr(&self) -> sec::PSECURITY_DESCRIPTOR {
        self.0.as_ptr().cast_mut().cast()
    }
}

/// Calls `ask` with a buffer of growing size, in bytes, aligned for any structure.
fn answer(
    ask: impl Fn(*mut std::ffi::c_void, u32, &mut u32) -> io::Result<()>,
) -> io::Result<Vec<u64>> {
    let mut size = 256;
    loop {
        let mut buffer = vec![0_u64; (size as usize).div_ceil(8)];
        let mut needed = 0;
        match ask(buffer.as_mut_ptr().cast(), size, &mut needed) {
            Err(error)
                if matches!(
                    code_of(&error),
                    Some(win::ERROR_INSUFFICIENT_BUFFER | win::ERROR_MORE_DATA)
                ) && needed > size =>
            {
                size = needed;
            }
            answer => return answer.map(|()| buffer),
        }
    }
}

/// Rights to change a directory.
const WRITES: u32 = fs::FILE_ADD_FILE
    | fs::FILE_ADD_SUBDIRECTORY
    | fs::FILE_DELETE_CHILD
    | fs::DELETE
    | fs::WRITE_DAC
    | fs::WRITE_OWNER
    | win::GENERIC_WRITE
    | win::GENERIC_ALL;
/// Kinds of entries: `ACCESS_ALLOWED_ACE_TYPE` etc.
const ALLOWED: u8 = 0;
const DENIED: u8 = 1;
const DENIED_OBJECT: u8 = 6;
const DENIED_CALLBACK: u8 = 10;
/// Prefix of the identifier of the service that installs Windows.
const INSTALLER: &str = "S-1-5-80-956008885-";

#[cfg(test)]
mod tests {
    use super::super::handle::{METADATA, open};
    use super::*;

    #[test]
    fn sid_has_text_and_last_number() {
        let system = Sid([1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0].into());
        assert_eq!(system.text(), "S-1-5-18");
        assert!(system.is_privileged());
        let user = Sid([1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0xE9, 3, 0, 0].into());
        assert_eq!((&*user.text(), user.last()), ("S-1-5-21-1001", 1001));
        assert!(!user.is_privileged());
    }

    #[test]
    fn process_identity_owns_its_own_files() {
        let identity = process_identity().unwrap();
        assert!(identity.user.text().starts_with("S-1-5-"), "{}", identity.user.text());
        assert!(identity.includes(&identity.user));
        let null = Sid([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into());
        assert!(!identity.includes(&null));
    }

    /// The descriptor as read from an open file.
    fn found(descriptor: &Descriptor) -> FileSecurity {
        // SAFETY: the system made the descriptor.
        let len = unsafe { sec::GetSecurityDescriptorLength(descriptor.0) } as usize;
        let mut copy = vec![0_u64; len.div_ceil(8)];
        // SAFETY: both have room for `len` bytes and do not overlap.
        unsafe {
            ptr::copy_nonoverlapping(descriptor.0.cast::<u8>(), copy.as_mut_ptr().cast(), len);
        }
        FileSecurity(copy)
    }

    #[test]
    fn descriptor_grants_access_as_requested_only() {
        const ANY: u32 = u32::MAX;
        assert!(!found(&Descriptor::for_directory().unwrap()).others_may(ANY).unwrap());
        let group = &process_identity().unwrap().group;
        // For some administrators, and under wine, the group adds no user.
        let group = !process_identity().unwrap().includes(group) && !group.is_privileged();
        for (access, reads) in
            [(Access::Owner, false), (Access::Group, group), (Access::Everybody, true)]
        {
            let found = found(&Descriptor::for_file(access).unwrap());
            assert_eq!(found.others_may(fs::FILE_READ_DATA).unwrap(), reads, "{access:?}");
            assert!(!found.others_may_write().unwrap(), "{access:?}");
        }
        // The same on the disk.
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("own");
        let directory = crate::directory::Directory::create_own(&path).unwrap();
        let file = crate::create(&directory, "x.mmst", 4096, Access::Owner).unwrap();
        let file = file.publish().unwrap();
        for path in [&path, file.path()] {
            let found = FileSecurity::read(&open(path, &METADATA).unwrap(), true).unwrap();
            assert!(!found.others_may(ANY).unwrap(), "{path:?}");
        }
    }

    #[test]
    fn others_may_write_finds_entries_of_other_users() {
        let list = |text: &str| found(&Descriptor::from_text(text).unwrap());
        let own = owner_only(process_identity().unwrap(), "OICI");
        assert!(!list(&own).others_may_write().unwrap());
        assert!(process_identity().unwrap().includes(&list(&own).owner().unwrap()));
        for (entry, others) in [
            ("(A;;FR;;;WD)", false),
            ("(A;;FX;;;BU)", false),
            ("(D;;FA;;;WD)", false),
            ("(A;OICIIO;FA;;;CO)", false),
            ("(A;;FA;;;OW)", false),
            ("(A;;FW;;;WD)", true),
            ("(A;;FA;;;BU)", true),
            ("(A;;WD;;;AU)", true),
            ("(A;;GA;;;S-1-5-21-1-2-3-1001)", true),
        ] {
            assert_eq!(
                list(&format!("{own}{entry}")).others_may_write().unwrap(),
                others,
                "{entry}"
            );
        }
        // A missing access list forbids nothing.
        let user = process_identity().unwrap().user.text();
        assert!(list(&format!("O:{user}")).others_may_write().unwrap());
    }
}
