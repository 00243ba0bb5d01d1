//! Programs of other users, set-user-id ones, and refused system calls.
#![allow(dead_code, unreachable_pub)] // each test file uses some of them

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const OWNER: u32 = 12_345;
pub const CALLER: u32 = 12_346;

/// A copy of this program for other users, in a directory that they may search.
pub fn program(place: &Path, mode: u32) -> PathBuf {
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = place.join("program");
    // By another process: a child that another thread forks off meanwhile would inherit the open copy,
    // and the system runs no file that is open for writing.
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&copy).status();
    assert!(copied.unwrap().success());
    chown(&copy, Some(OWNER), None).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).unwrap();
    copy
}

/// Runs the test `name` of a copy of this program as another user; its standard output.
pub fn run(program: &Path, name: &str, path: &Path) -> String {
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).uid(CALLER).gid(CALLER);
    command.env("MMSTATS_TEST_CHILD", path).env("MMSTATS_PATH", path).env("TMPDIR", path);
    command.env("MMSTATS_FILES", "planted.mmst").env("XDG_RUNTIME_DIR", path);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Makes each of these calls fail with this code, for this thread and its children.
pub fn refuse(calls: &[libc::c_long], errno: libc::c_int) {
    let statement =
        |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf, k };
    // The number of the call is at offset 0.
    let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for call in calls {
        let call = u32::try_from(*call).unwrap();
        filter.push(statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call));
        let errno = libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
        filter.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, errno));
    }
    filter.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    let len = u16::try_from(filter.len()).unwrap();
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: takes integers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program is valid, and the system copies it.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0) }, 0);
}
