//! Proof that the program of a file of format 1 is dead: the format has no lock.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use mmstats_observe::File;

/// Inode of the first pid namespace of Linux: `PROC_PID_INIT_INO`. All processes are seen from it.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// `ESRCH` of Linux.
const NO_SUCH_PROCESS: i32 = 3;

/// The files that other running processes of this user have mapped.
#[derive(Debug)]
pub(super) struct Mapped(Option<HashMap<u64, Vec<MappedFile>>>);

/// A mapped file, besides its inode.
#[derive(Debug, PartialEq, Eq)]
struct MappedFile {
    device: u64,
    name: String,
}

impl Mapped {
    /// Looks at all processes.
    pub(super) fn look() -> Self {
        Self(inodes(Path::new("/proc")))
    }

    /// Whether no process can have the file mapped. The process id in the file proves nothing: it may
    /// be that of another pid namespace, as in a container.
    ///
    /// Proven only on Linux, where this process sees those of all namespaces.
    pub(super) fn proves_dead(&self, file: &File) -> bool {
        let name = file.path().file_name().unwrap_or_default().to_string_lossy();
        // Some file systems have another device in `maps`; the name is the same there.
        let is_it = |other: &MappedFile| other.device == file.id().device || other.name == name;
        let mapped = |files: &Vec<MappedFile>| files.iter().any(is_it);
        self.0.as_ref().is_some_and(|all| !all.get(&file.id().index).is_some_and(mapped))
    }
}

/// All mapped files by inode; `None` if not all processes of this user are seen.
fn inodes(proc: &Path) -> Option<HashMap<u64, Vec<MappedFile>>> {
    let namespace = fs::read_link(proc.join("self/ns/pid")).ok()?;
    if namespace != Path::new(FIRST_NAMESPACE) {
        return None;
    }
    let user = owner(&proc.join("self"))?;
    let mut inodes: HashMap<u64, Vec<MappedFile>> = HashMap::new();
    let this = std::process::id().to_string();
    for entry in fs::read_dir(proc).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) || *name == *this {
            continue;
        }
        match fs::read(entry.path().join("maps")) {
            Ok(maps) => {
                let maps = String::from_utf8_lossy(&maps);
                for (inode, file) in maps.lines().filter_map(mapped_file) {
                    let known = inodes.entry(inode).or_default();
                    if !known.contains(&file) {
                        known.push(file);
                    }
                }
            }
            // It is a zombie: it has no memory.
            Err(error) if error.raw_os_error() == Some(NO_SUCH_PROCESS) => {}
            // It has ended, or belongs to another user: that of the file is this one.
            Err(_) if owner(&entry.path()).is_none_or(|owner| owner != user) => {}
            // Its process id is the one that its files have, and no process has that.
            Err(_) if is_in_first_namespace(&entry.path()) => {}
            Err(_) => return None,
        }
    }
    Some(inodes)
}

/// Whether the process has a process id in the first namespace only.
fn is_in_first_namespace(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_ascii_whitespace().count() == 1)
}

#[cfg(unix)] // has user ids
fn owner(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).ok().map(|metadata| metadata.uid())
}

#[cfg(not(unix))] // has no `/proc`
const fn owner(_path: &Path) -> Option<u32> {
    None
}

/// The inode, device and name of a line of `maps`:
/// `7f00-7f01 rw-s 00000000 00:1c 4242 /dev/shm/x.mmstats`.
fn mapped_file(line: &str) -> Option<(u64, MappedFile)> {
    let mut words = line.split_ascii_whitespace().skip(3);
    let (major, minor) = words.next()?.split_once(':')?;
    let [major, minor] = [major, minor].map(|text| u64::from_str_radix(text, 16).ok());
    let (major, minor) = (major?, minor?);
    let inode = words.next()?.parse().ok().filter(|inode| *inode != 0)?;
    // `makedev` of Linux.
    let device =
        (major & 0xfff) << 8 | minor & 0xff | (minor & !0xff) << 12 | (major & !0xfff) << 32;
    let name = line.rsplit('/').next().unwrap_or_default();
    Some((inode, MappedFile { device, name: name.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_file_has_inode_device_and_name() {
        let file = |device, name: &str| MappedFile { device, name: name.to_owned() };
        let line = "7f00-7f01 rw-s 00000000 08:02 4242   /dev/shm/a b.mmstats";
        assert_eq!(mapped_file(line), Some((4242, file(0x802, "a b.mmstats"))));
        assert_eq!(mapped_file("7f00-7f01 rw-p 00000000 00:00 0 "), None);
        assert_eq!(mapped_file(""), None);
    }

    #[test]
    fn inodes_needs_first_namespace_and_readable_processes() {
        assert_eq!(inodes(Path::new("/no/such/proc")), None);
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir_all(proc.path().join("self/ns")).unwrap();
        assert_eq!(inodes(proc.path()), None);
        #[cfg(unix)] // links need a privilege elsewhere
        {
            let link = |to: &str| {
                let _ = fs::remove_file(proc.path().join("self/ns/pid"));
                std::os::unix::fs::symlink(to, proc.path().join("self/ns/pid")).unwrap();
            };
            link("pid:[4026532000]");
            assert_eq!(inodes(proc.path()), None, "a container");
            link(FIRST_NAMESPACE);
            fs::create_dir(proc.path().join("17")).unwrap();
            assert_eq!(inodes(proc.path()), None, "a process of this user that hides its memory");
            for (ids, seen) in [("17 1", false), ("17", true)] {
                fs::write(proc.path().join("17/status"), format!("Name:\tx\nNSpid:\t{ids}\n"))
                    .unwrap();
                assert_eq!(inodes(proc.path()).is_some(), seen, "{ids}");
            }
            let maps = "0-1 rw-s 0 00:01 42 /x\n0-1 rw-p 0 00:00 0\n";
            fs::write(proc.path().join("17/maps"), maps).unwrap();
            assert_eq!(inodes(proc.path()).unwrap().into_keys().collect::<Vec<_>>(), [42]);
        }
    }
}
