//! Owners and access lists: what is made is for this user alone, and what is found is trusted
//! only if no other user may write to it.
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

use super::codes::code_of;
use super::handle::check;
use crate::Access;

/// A security identifier: who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sid(Box<[u8]>);

impl Sid {
    /// Copies what the system points to.
    ///
    /// # Safety
    ///
    /// `sid` points to a valid identifier.
    unsafe fn copy(sid: sec::PSID) -> Self {
        // SAFETY: the identifier is valid.
        let len = unsafe { sec::GetLengthSid(sid) } as usize;
        // SAFETY: it has `len` bytes, which nobody changes during the copy.
        Self(unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), len) }.into())
    }

    /// The last number, which tells the users of one machine or domain apart.
    pub(super) fn last(&self) -> u32 {
        self.numbers().last().unwrap_or(0)
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        let numbers = self.0.get(8..).unwrap_or_default();
        numbers.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// As in `S-1-5-18`.
    fn text(&self) -> String {
        let authority = self.0.get(2..8).unwrap_or_default();
        let authority = authority.iter().fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
        self.numbers().fold(format!("S-1-{authority}"), |text, number| format!("{text}-{number}"))
    }

    /// Whether it may do anything on this machine anyway.
    fn is_almighty(&self) -> bool {
        let text = self.text();
        // Whoever owns the file, the system itself, its administrators.
        ["S-1-3-4", "S-1-5-18", "S-1-5-32-544"].contains(&&*text) || text.starts_with(INSTALLER)
    }
}

/// Who this process is, by its token.
pub(super) struct Myself {
    pub(super) user: Sid,
    pub(super) group: Sid,
    /// Whom new files belong to: the user, or for some administrators their group.
    owner: Sid,
}

impl Myself {
    /// Whether files of `owner` are ours.
    pub(super) fn is(&self, owner: &Sid) -> bool {
        *owner == self.user || *owner == self.owner
    }
}

/// Who this process is.
pub(super) fn myself() -> io::Result<&'static Myself> {
    static MYSELF: OnceLock<Myself> = OnceLock::new();
    if let Some(myself) = MYSELF.get() {
        return Ok(myself);
    }
    let mut token = ptr::null_mut();
    // SAFETY: has no precondition.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the handle of this process is always open, and `token` has room for the answer.
    check(unsafe { OpenProcessToken(process, sec::TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: the system has just opened it, and nobody else has it.
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
    let myself = Myself {
        user: sid(sec::TokenUser)?,
        group: sid(sec::TokenPrimaryGroup)?,
        owner: sid(sec::TokenOwner)?,
    };
    Ok(MYSELF.get_or_init(|| myself))
}

/// What to give a new file or directory.
#[derive(Debug)]
pub(super) struct Descriptor(sec::PSECURITY_DESCRIPTOR);

impl Descriptor {
    /// Of a file: read and written by its owner, read by those whom `access` names.
    pub(super) fn of_file(access: Access) -> io::Result<Self> {
        let myself = myself()?;
        let reader = match access {
            Access::Group => format!("(A;;FR;;;{})", myself.group.text()),
            Access::Everybody => "(A;;FR;;;WD)".to_owned(),
            _ => String::new(),
        };
        Self::of_text(&format!("{}{reader}", own(myself, "")))
    }

    /// Of a directory: for its owner alone, and what is made in it too.
    pub(super) fn of_directory() -> io::Result<Self> {
        Self::of_text(&own(myself()?, "OICI"))
    }

    fn of_text(text: &str) -> io::Result<Self> {
        let wide: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut descriptor = ptr::null_mut();
        // SAFETY: the text ends in a zero, `descriptor` has room for a pointer, and the size is
        // not asked for.
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

    /// To be passed on to the system, which does not change it.
    pub(super) const fn as_ptr(&self) -> sec::PSECURITY_DESCRIPTOR {
        self.0
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for us in this way, and nobody uses it any more.
        unsafe { LocalFree(self.0) };
    }
}

/// Owner and access list, which is not added to by the directory above: this user, and as
/// everywhere the system and its administrators.
fn own(myself: &Myself, flags: &str) -> String {
    let user = myself.user.text();
    format!("O:{user}D:P(A;{flags};FA;;;{user})(A;{flags};FA;;;SY)(A;{flags};FA;;;BA)")
}

/// Owner and access list of an open file or directory.
pub(super) struct Found(Vec<u64>);

/// Asks for the owner, or for owner and access list. Needs the right `READ_CONTROL`.
pub(super) fn of(file: &File, with_list: bool) -> io::Result<Found> {
    let list = if with_list { sec::DACL_SECURITY_INFORMATION } else { 0 };
    let what = sec::OWNER_SECURITY_INFORMATION | list;
    answer(|buffer, size, needed| {
        // SAFETY: the handle is open; `buffer` has `size` bytes.
        check(unsafe {
            sec::GetKernelObjectSecurity(file.as_raw_handle(), what, buffer, size, needed)
        })
    })
    .map(Found)
}

impl Found {
    /// Whom it belongs to.
    pub(super) fn owner(&self) -> io::Result<Sid> {
        let (mut owner, mut defaulted) = (ptr::null_mut(), 0);
        // SAFETY: the descriptor is one that the system made, and both answers have room.
        check(unsafe {
            sec::GetSecurityDescriptorOwner(self.as_ptr(), &raw mut owner, &raw mut defaulted)
        })?;
        if owner.is_null() {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        // SAFETY: the pointer is to an identifier in the descriptor, which lives.
        Ok(unsafe { Sid::copy(owner) })
    }

    /// Whether anybody but this user, and those who may do anything, may write to the
    /// directory, remove what is in it, or give such rights to others.
    pub(super) fn others_may_write(&self) -> io::Result<bool> {
        self.others_may(WRITES)
    }

    /// Whether one of them has one of these rights.
    fn others_may(&self, rights: u32) -> io::Result<bool> {
        let myself = myself()?;
        let (mut present, mut list, mut defaulted) = (0, ptr::null_mut(), 0);
        // SAFETY: the descriptor is one that the system made, and all answers have room.
        check(unsafe {
            sec::GetSecurityDescriptorDacl(
                self.as_ptr(),
                &raw mut present,
                &raw mut list,
                &raw mut defaulted,
            )
        })?;
        // No list means that everybody may do everything.
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
            // What is only handed on to new files below, and what takes rights away.
            if u32::from(header.AceFlags) & sec::INHERIT_ONLY_ACE != 0
                || [DENIED, DENIED_OBJECT, DENIED_CALLBACK].contains(&header.AceType)
            {
                continue;
            }
            // SAFETY: entries that give rights have the mask here, of whatever kind they are.
            let mask = unsafe { (*entry.cast::<sec::ACCESS_ALLOWED_ACE>()).Mask };
            if mask & rights == 0 {
                continue;
            }
            if header.AceType != ALLOWED {
                return Ok(true);
            }
            // SAFETY: as above; a pointer to the identifier, nothing is read.
            let sid = unsafe { &raw const (*entry.cast::<sec::ACCESS_ALLOWED_ACE>()).SidStart };
            // SAFETY: entries of this kind end in an identifier, in the list, which lives.
            let sid = unsafe { Sid::copy(sid.cast_mut().cast()) };
            if !myself.is(&sid) && !sid.is_almighty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn as_ptr(&self) -> sec::PSECURITY_DESCRIPTOR {
        self.0.as_ptr().cast_mut().cast()
    }
}

/// Asks with more and more room, in bytes; the answer is aligned for any structure.
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

/// Rights with which a directory can be changed.
const WRITES: u32 = fs::FILE_ADD_FILE
    | fs::FILE_ADD_SUBDIRECTORY
    | fs::FILE_DELETE_CHILD
    | fs::DELETE
    | fs::WRITE_DAC
    | fs::WRITE_OWNER
    | win::GENERIC_WRITE
    | win::GENERIC_ALL;
/// Kinds of entries: `ACCESS_ALLOWED_ACE_TYPE` and so on.
const ALLOWED: u8 = 0;
const DENIED: u8 = 1;
const DENIED_OBJECT: u8 = 6;
const DENIED_CALLBACK: u8 = 10;
/// The service that installs Windows.
const INSTALLER: &str = "S-1-5-80-956008885-";

#[cfg(test)]
mod tests {
    use super::super::handle::{LOOK, open};
    use super::*;

    #[test]
    fn identifiers_have_texts_and_numbers() {
        let system = Sid([1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0].into());
        assert_eq!(system.text(), "S-1-5-18");
        assert!(system.is_almighty());
        let user = Sid([1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0xE9, 3, 0, 0].into());
        assert_eq!((&*user.text(), user.last()), ("S-1-5-21-1001", 1001));
        assert!(!user.is_almighty());
    }

    #[test]
    fn this_process_is_somebody() {
        let myself = myself().unwrap();
        assert!(myself.user.text().starts_with("S-1-5-"), "{}", myself.user.text());
        assert!(myself.is(&myself.user));
        let nobody = Sid([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into());
        assert!(!myself.is(&nobody));
    }

    /// As the system has it of an open file.
    fn found(descriptor: &Descriptor) -> Found {
        // SAFETY: a descriptor that the system made.
        let len = unsafe { sec::GetSecurityDescriptorLength(descriptor.0) } as usize;
        let mut copy = vec![0_u64; len.div_ceil(8)];
        // SAFETY: both have room for `len` bytes and do not overlap.
        unsafe {
            ptr::copy_nonoverlapping(descriptor.0.cast::<u8>(), copy.as_mut_ptr().cast(), len);
        }
        Found(copy)
    }

    #[test]
    fn what_is_made_is_for_its_owner_and_those_who_are_asked_for() {
        const ANY: u32 = u32::MAX;
        assert!(!found(&Descriptor::of_directory().unwrap()).others_may(ANY).unwrap());
        let group = &myself().unwrap().group;
        // For some administrators, and under wine, it is nobody else.
        let group = !myself().unwrap().is(group) && !group.is_almighty();
        for (access, reads) in
            [(Access::Owner, false), (Access::Group, group), (Access::Everybody, true)]
        {
            let found = found(&Descriptor::of_file(access).unwrap());
            assert_eq!(found.others_may(fs::FILE_READ_DATA).unwrap(), reads, "{access:?}");
            assert!(!found.others_may_write().unwrap(), "{access:?}");
        }
        // And they have it on the disk.
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("own");
        let directory = crate::directory::Directory::create_own(&path).unwrap();
        let file = crate::create(&directory, "x.mmst", 4096, Access::Owner).unwrap();
        let file = file.publish().unwrap();
        for path in [&path, file.path()] {
            let found = of(&open(path, &LOOK).unwrap(), true).unwrap();
            assert!(!found.others_may(ANY).unwrap(), "{path:?}");
        }
    }

    #[test]
    fn others_who_may_write_are_noticed() {
        let list = |text: &str| found(&Descriptor::of_text(text).unwrap());
        let own = own(myself().unwrap(), "OICI");
        assert!(!list(&own).others_may_write().unwrap());
        assert!(myself().unwrap().is(&list(&own).owner().unwrap()));
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
        // An access list that is not there forbids nothing.
        let user = myself().unwrap().user.text();
        assert!(list(&format!("O:{user}")).others_may_write().unwrap());
    }
}
