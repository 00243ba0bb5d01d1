//! Namespaces and containers of programs that run in others than this process.

use crate::backend::process;

/// The namespaces and the container of a program, which are not those of this process. Known on Linux.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Namespace {
    /// Inode of the mount namespace; `None` if it is that of this process.
    pub mount: Option<u64>,
    /// Inode of the pid namespace; `None` if it is that of this process.
    pub pid: Option<u64>,
    /// Id of the container, as the control group of the process has it: usually 64 hexadecimal digits;
    /// `None` if there is none, or it is that of this process.
    pub container: Option<String>,
}

impl Namespace {
    /// The namespace of a process; `None` if it is that of this process, or the system does not tell.
    pub(crate) fn of_process(pid: u32, own: &OwnNamespaces) -> Option<Self> {
        let other = |own: Option<u64>, name| inode(pid, name).filter(|found| own != Some(*found));
        let (mount, in_pid) = (other(own.mount, "mnt"), other(own.pid, "pid"));
        if mount.is_none() && in_pid.is_none() {
            return None;
        }
        let container = container_of(&pid.to_string());
        // That of this process too is no other one.
        let container = container.filter(|id| Some(id) != container_of("self").as_ref());
        Some(Self { mount, pid: in_pid, container })
    }

    /// A number that tells it from others of this machine: of the pid namespace, else of the mount namespace.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.pid.or(self.mount).unwrap_or(0)
    }
}

/// The namespaces of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnNamespaces {
    pub(crate) mount: Option<u64>,
    pub(crate) pid: Option<u64>,
}

impl OwnNamespaces {
    pub(crate) fn new() -> Self {
        Self { mount: inode_of("self", "mnt"), pid: process::facts().pid_ns }
    }
}

/// Inode of a namespace of a process.
pub(crate) fn inode(pid: u32, name: &str) -> Option<u64> {
    inode_of(&pid.to_string(), name)
}

fn inode_of(process: &str, name: &str) -> Option<u64> {
    // `mnt:[4026531841]`
    let link = std::fs::read_link(format!("/proc/{process}/ns/{name}")).ok()?;
    let number = link.to_str()?.strip_prefix(name)?.strip_prefix(":[")?.strip_suffix(']')?;
    number.parse().ok()
}

/// Number of digits in the ids of containers.
const DIGITS: std::ops::RangeInclusive<usize> = 32..=64;

fn container_of(process: &str) -> Option<String> {
    let groups = std::fs::read(format!("/proc/{process}/cgroup")).ok()?;
    container(&String::from_utf8_lossy(&groups))
}

/// The container in a list of control groups: `0::/system.slice/docker-0123….scope`,
/// `/kubepods/pod0123-…/0123…`, `/lxc.payload.web/system.slice`.
fn container(groups: &str) -> Option<String> {
    let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let names = paths.flat_map(|path| path.rsplit('/'));
    let mut found = names.filter_map(|name| {
        if let Some(name) = name.strip_prefix("lxc.payload.") {
            return Some(name);
        }
        let name = name.strip_suffix(".scope").unwrap_or(name);
        let id = name.rsplit(['-', ':']).next()?;
        let is_id = DIGITS.contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then_some(id)
    });
    found.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_is_the_id_in_a_control_group() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/machine.slice/libpod-{id}.scope/container"),
            format!("/kubepods.slice/kubepods-pod12_3.slice/cri-containerd-{id}.scope"),
            format!("/kubepods/besteffort/pod0f0e0d0c-1111-2222-3333-444455556666/{id}"),
            format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{id}"),
        ] {
            let text = format!("12:pids:/\n1:name=systemd:/user\n0::{path}\n");
            assert_eq!(container(&text).as_ref(), Some(&id), "{path}");
        }
        assert_eq!(container("0::/lxc.payload.web/init.scope\n").as_deref(), Some("web"));
        for none in
            ["", "0::/", "0::/system.slice/cron.service", "0::/a-0123456789abcdef.scope", "x"]
        {
            assert_eq!(container(none), None, "{none}");
        }
    }

    #[cfg(target_os = "linux")] // has namespaces
    #[test]
    fn namespace_of_own_process_is_none() {
        let (own, this) = (OwnNamespaces::new(), std::process::id());
        assert!(own.mount.is_some() && own.mount == inode(this, "mnt"));
        assert_eq!(Namespace::of_process(this, &own), None);
        let other = OwnNamespaces { mount: own.mount, pid: Some(1) };
        let found = Namespace::of_process(this, &other).unwrap();
        assert_eq!((found.mount, found.pid, found.number()), (None, own.pid, own.pid.unwrap()));
    }
}
