//! `--all-namespaces`: programs of other pid and mount namespaces, as containers have.
#![cfg(target_os = "linux")] // has namespaces

mod common;

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{all_kinds, cannot_be_run, json, run, wait_for};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_mmstats");

/// A shell that is process 1 of its own namespaces, with memory of its own in `/dev/shm`, `/run` and `/tmp`.
struct Container {
    child: Child,
}

impl Container {
    /// Runs `script` until it has printed a line; `None` if this process may not make namespaces.
    fn start(script: &str) -> Option<Self> {
        let options = if may_unshare("-mpf") { "-mpf" } else { "-Urmpf" };
        if !may_unshare(options) {
            cannot_be_run("no right to make namespaces");
            return None;
        }
        let script = format!("{MOUNTS} && {script}");
        let mut command = Command::new("unshare");
        command.args([options, "--kill-child", "--mount-proc", "sh", "-c", &script]);
        command.env_remove("MMSTATS_PATH").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Self { child })
    }

    /// Its root, as this process calls it.
    fn root(&self) -> String {
        format!("/proc/{}/root", self.child.id())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const MOUNTS: &str = "for at in /dev/shm /run /tmp; do mount -t tmpfs none $at || exit; done";

fn may_unshare(options: &str) -> bool {
    let mut command = Command::new("unshare");
    command.args([options, "--kill-child", "--mount-proc", "sh", "-c", MOUNTS]);
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Publishes as process 1, in the directory of the user.
fn publishing() -> String {
    format!("echo; exec '{BINARY}' demo-publisher --threads 2")
}

/// The programs whose files lie below the roots of these containers.
fn inside<'a>(listed: &'a Value, containers: &[&Container]) -> Vec<&'a Value> {
    let roots: Vec<_> = containers.iter().map(|one| one.root() + "/").collect();
    let files = listed["files"].as_array().unwrap().iter();
    let path = |file: &Value| file["path"].as_str().unwrap().to_owned();
    files.filter(|file| roots.iter().any(|root| path(file).starts_with(root))).collect()
}

#[test]
fn programs_with_process_id_1_of_three_namespaces_are_told_apart() {
    let own = tempfile::tempdir().unwrap();
    // The last one has a directory of its own.
    let elsewhere = format!("mkdir /run/stats; export MMSTATS_PATH=/run/stats; {}", publishing());
    let scripts = [publishing(), publishing(), elsewhere];
    let Some(all) =
        scripts.iter().map(|script| Container::start(script)).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let containers: Vec<&Container> = all.iter().collect();
    let listed = wait_for(|| {
        let listed = json(own.path(), &["ls", "--json", "--all-namespaces"]);
        (inside(&listed, &containers).len() == 3).then_some(listed)
    });
    let mut namespaces = HashSet::new();
    let mut processes = HashSet::new();
    for file in inside(&listed, &containers) {
        assert_eq!((&file["pid"], &file["state"]), (&1.into(), &"live".into()), "{file}");
        namespaces.insert(file["namespace"].as_u64().unwrap());
        processes.insert(file["local_pid"].to_string());
    }
    assert_eq!((namespaces.len(), processes.len()), (3, 3));
    // Without the option only those that MMSTATS_PATH names.
    assert_eq!(json(own.path(), &["ls", "--json"])["files"].as_array().unwrap().len(), 0);

    if cfg!(feature = "export") {
        let metrics = run(own.path(), &["export", "prometheus", "--once", "--all-namespaces"]).out;
        for pid in processes {
            let label = "pid=\"1\",";
            let line = metrics.lines().find(|line| {
                line.starts_with("mmstats_up{")
                    && line.contains(label)
                    && line.contains(&format!("host_pid=\"{pid}\""))
            });
            assert!(line.is_some_and(|line| line.contains("namespace=\"")), "{pid}: {line:?}");
        }
    }
}

#[test]
fn program_that_ended_in_a_namespace_is_listed() {
    let own = tempfile::tempdir().unwrap();
    let script = format!(
        "(sleep 1000 | '{BINARY}' demo-publisher --threads 2 & \
         until ls /dev/shm/mmstats-0/*.mmst; do sleep 0.05; done; \
         kill -9 $(pidof mmstats || pgrep -x mmstats)) >/dev/null 2>&1; echo; exec cat"
    );
    let Some(container) = Container::start(&script) else { return };
    let listed = wait_for(|| {
        let listed = json(own.path(), &["ls", "--json", "--all-namespaces"]);
        (!inside(&listed, &[&container]).is_empty()).then_some(listed)
    });
    let file = inside(&listed, &[&container])[0];
    assert_eq!(file["state"], "dead", "{file}");
    assert!(file["namespace"].as_u64().is_some(), "{file}");
}

/// Names in a container lead to nothing outside of it, and each is complained about.
#[test]
fn planted_links_pipes_loops_and_devices_show_nothing_of_the_host() {
    let (own, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // What each link would lead to.
    let host = host.path();
    let below = host.join("0/mmstats");
    std::fs::create_dir_all(&below).unwrap();
    for directory in [host, &below] {
        all_kinds(&directory.join("secret.mmst"));
    }
    let script = format!(
        "cd /dev/shm && mkdir mmstats-0 && cd mmstats-0 && ln -s '{host}/secret.mmst' link.mmst && \
         ln -s loop.mmst loop.mmst && ln -s /proc/self/root/'{host}/secret.mmst' magic.mmst && \
         mkfifo pipe.mmst && mkdir directory.mmst && {{ mknod device.mmst c 1 3; \
         ln -s '{host}' /tmp/mmstats-0; ln -s mmstats-1 /tmp/mmstats-1; \
         ln -s '{host}' /run/user; }} 2>/dev/null; echo; exec cat",
        host = host.display()
    );
    let Some(container) = Container::start(&script) else { return };
    let arguments = ["ls", "--all-namespaces", "--json"];
    let printed = run(own.path(), &arguments);
    let root = container.root();
    assert!(!printed.out.contains("secret.mmst"), "{}", printed.out);
    assert!(!printed.out.contains(&root), "{}", printed.out);
    let shm = format!("{root}/dev/shm/mmstats-0");
    assert!(Path::new(&shm).join("pipe.mmst").exists(), "{shm}");
    for name in ["link", "loop", "magic", "pipe", "directory"] {
        let path = format!("{shm}/{name}.mmst: ");
        let line = printed.err.lines().find(|line| line.contains(&path));
        assert!(line.is_some_and(|line| line.contains("(not-regular)")), "{name}: {}", printed.err);
    }
    let device = format!("{shm}/device.mmst");
    let has_device = std::fs::symlink_metadata(&device).is_ok();
    assert_eq!(printed.err.contains(&device), has_device, "{}", printed.err);
    for (name, code) in [("tmp/mmstats-0", "not-a-directory"), ("tmp/mmstats-1", "not-a-directory")]
    {
        let path = format!("{root}/{name}: ");
        let line = printed.err.lines().find(|line| line.contains(&path));
        assert!(line.is_some_and(|line| line.contains(code)), "{name}: {}", printed.err);
    }
    // A file that is named through the root of the container is resolved in it, too.
    let printed = run(own.path(), &["show", &format!("{root}/run/user/secret.mmst")]);
    assert_eq!((printed.code, printed.out.as_str()), (Some(1), ""), "{}", printed.err);
    let printed = run(own.path(), &["show", &format!("{root}/tmp/mmstats-0")]);
    assert_eq!((printed.code, printed.out.as_str()), (Some(1), ""), "{}", printed.err);
}
