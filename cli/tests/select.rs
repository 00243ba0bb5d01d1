//! Programs selected by process id and name, and the messages for those that are not found.
#![cfg(target_os = "linux")] // elsewhere no system tells what a process has mapped

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Publisher, all_kinds, files, image, json, mmstats, printed, run, wait_for};
use mmstats_core::{Constant, Counter, FieldSpec, Schema};
use serde_json::Value;

/// Ends a program when the test ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn show_finds_process_with_a_directory_of_its_own() {
    let (own, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let publisher = Publisher::start(elsewhere.path());
    let document = json(own.path(), &["show", "--json", &publisher.pid()]);
    assert_eq!(document["files"][0]["path"], publisher.path(), "{document}");
    for arguments in [&["ls"][..], &["poll", "-c1", "-d0.1", "demo.blocks"], &["events"]] {
        let printed = run(own.path(), &[arguments, &[&publisher.pid()]].concat());
        assert!(!printed.err.contains("no file"), "{arguments:?}: {}", printed.err);
    }
}

#[test]
fn message_about_process_says_where_was_looked_and_what_helps() {
    let (own, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let place = own.path().to_str().unwrap();
    let printed = run(own.path(), &["show", "4194304"]);
    assert_eq!((printed.code, printed.out.as_str()), (Some(1), ""));
    for words in ["4194304: no file of this process", place, "no such process runs", "mmstats ls"] {
        assert!(printed.err.contains(words), "{words}: {}", printed.err);
    }
    // It publishes nothing.
    let sleep = Ended(Command::new("sleep").arg("60").spawn().unwrap());
    let printed = run(own.path(), &["show", &sleep.0.id().to_string()]);
    for words in [place, "it has no such file mapped", "sleep publishes nothing"] {
        assert!(printed.err.contains(words), "{words}: {}", printed.err);
    }
    // The shell does not, but the program that it started does.
    let script = format!("'{}' demo-publisher --threads 2; true", env!("CARGO_BIN_EXE_mmstats"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).env("MMSTATS_PATH", elsewhere.path()).stdin(Stdio::piped());
    let shell = Ended(shell.spawn().unwrap());
    wait_for(|| (!files(elsewhere.path()).is_empty()).then_some(()));
    let printed = run(own.path(), &["show", &shell.0.id().to_string()]);
    let help = printed.err.lines().find(|line| line.contains("help: ")).unwrap();
    assert!(help.contains("sh started publish: ") && help.contains("(mmstats"), "{help}");
}

#[test]
fn programs_are_selected_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Publisher::start(dir.path());
    let command = json(dir.path(), &["ls", "--json"])["files"][0]["command"].clone();
    let name = command.as_str().unwrap();
    let pids = |name: &str| -> Vec<String> {
        let document = json(dir.path(), &["show", "--json", name]);
        let files = document["files"].as_array().unwrap();
        files.iter().map(|file| file["pid"].to_string()).collect()
    };
    assert_eq!(pids(name), [first.pid()]);
    // Of those that ended the last one, and none if another lives.
    first.kill();
    assert_eq!(pids(name), [first.pid()]);
    let mut second = Publisher::start(dir.path());
    assert_eq!(pids(name), [second.pid()]);
    second.kill();
    assert_eq!(pids(name), [second.pid()]);
    // A similar name is suggested.
    let printed = run(dir.path(), &["show", &name.replace("mm", "m")]);
    assert_eq!(printed.code, Some(1));
    assert!(printed.err.contains("no program of this name"), "{}", printed.err);
    assert!(printed.err.contains(dir.path().to_str().unwrap()), "{}", printed.err);
    assert!(printed.err.contains(&format!("help: there is {name}")), "{}", printed.err);
}

/// A word is a path if it is one of published files.
#[test]
fn word_is_path_of_published_files_or_name() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(&dir.path().join("."));
    std::fs::create_dir(dir.path().join("web")).unwrap();
    let show = |word: &str| {
        let mut command = mmstats(Path::new("/nonexistent"));
        printed(command.current_dir(dir.path()).args(["show", word]).output().unwrap())
    };
    assert!(show("web").err.contains("write ./web"), "{}", show("web").err);
    let name = publisher.path.file_name().unwrap();
    std::fs::copy(&publisher.path, dir.path().join("web").join(name)).unwrap();
    std::fs::copy(&publisher.path, dir.path().join("copy")).unwrap();
    assert!(show("copy").out.contains("demo.bytes_in"), "{}", show("copy").err);
    let listed = json(dir.path(), &["ls", "--json", dir.path().join("web").to_str().unwrap()]);
    assert_eq!(listed["files"].as_array().unwrap().len(), 1);
}

/// Whether this process may do `arguments` with a tool of the system.
fn may(tool: &str, arguments: &[&str]) -> bool {
    let status = Command::new(tool).args(arguments).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A program in namespaces of its own, with its own shared memory, as in a container.
#[test]
fn process_of_a_container_is_found_by_its_pid_outside() {
    let inner = "mount -t tmpfs none /dev/shm";
    if !may("unshare", &["-mpf", "--mount-proc", "sh", "-c", inner]) {
        return common::cannot_be_run("no right to make namespaces");
    }
    let own = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_mmstats");
    let script = format!("{inner}; exec '{binary}' demo-publisher --threads 2");
    let mut command = Command::new("unshare");
    command.args(["-mpf", "--mount-proc", "sh", "-c", &script]);
    command.env_remove("MMSTATS_PATH").stdin(Stdio::piped());
    let container = Ended(command.spawn().unwrap());
    // The child of `unshare`.
    let list = format!("/proc/{0}/task/{0}/children", container.0.id());
    let pid = wait_for(|| {
        let children = std::fs::read_to_string(&list).ok()?;
        let pid = children.split_whitespace().next()?.to_owned();
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        (exe == Path::new(binary)).then_some(pid)
    });
    let document = wait_for(|| {
        let printed = run(own.path(), &["show", "--json", &pid]);
        (printed.code == Some(0)).then(|| serde_json::from_str::<serde_json::Value>(&printed.out))
    });
    let file = &document.unwrap()["files"][0];
    let path = file["path"].as_str().unwrap();
    assert!(path.starts_with(&format!("/proc/{pid}/root/dev/shm/")), "{path}");
    assert_eq!((&file["pid"], &file["state"]), (&1.into(), &"live".into()));
    // By name, where no directory is named.
    let mut by_name = Command::new(binary);
    by_name.args(["ls", "--json"]).env_remove("MMSTATS_PATH");
    let listed = printed(by_name.output().unwrap());
    assert!(listed.out.contains(path), "{}", listed.out);
    drop(container);
    let _ = Command::new("kill").arg(&pid).status();
}

#[test]
fn fields_are_selected_by_attributes() {
    let dir = tempfile::tempdir().unwrap();
    let statuses = ["200", "503", "504"].map(|status| [("status", status)]);
    let mut schema = Schema::<16>::new();
    let keys = statuses
        .each_ref()
        .map(|status| schema.add(FieldSpec::counter("http.requests").attributes(status)).unwrap());
    schema.add(FieldSpec::counter("http.bytes")).unwrap();
    let path = dir.path().join("w.mmst");
    image(&path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        for (key, count) in keys.into_iter().zip([100, 20, 3]) {
            Counter::attach(&lane, key).unwrap().add(count);
        }
    });
    let path = path.to_str().unwrap();
    let shown = |filter| run(dir.path(), &["show", path, "-F", filter]).out;
    let lines = shown("http.*{status=\"5*\"}");
    let names: Vec<&str> = lines.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(names, ["http.requests{status=\"503\"}", "http.requests{status=\"504\"}"]);
    assert_eq!(shown("{status!=\"5*\"}").lines().count(), 2);

    let fields = "http.requests,http.requests{status=\"5*\"},http.requests{status=200}";
    let arguments = ["poll", "--json", "-c1", "-d0.01", fields, path];
    let row = json(dir.path(), &arguments);
    let columns: Vec<_> = row["fields"].as_array().unwrap().iter().collect();
    let totals: Vec<u64> = columns.iter().map(|column| column["total"].as_u64().unwrap()).collect();
    assert_eq!(totals, [123, 23, 100], "{row}");
    assert_eq!(columns[1]["selector"], "{status=\"5*\"}");
    assert_eq!(columns[0].get("selector"), None);
    let printed = run(dir.path(), &["poll", "-c1", "-d0.01", fields, path]);
    let head = "http.requests/s http.requests{status=\"5*\"}/s http.requests{status=\"200\"}/s";
    assert_eq!(printed.out.lines().next(), Some(head));
    let printed = run(dir.path(), &["poll", "-c1", "http.requests{status=4*}", path]);
    assert_eq!(printed.code, Some(1));
    assert!(printed.err.contains("no field 'http.requests{status=\"4*\"}'"), "{}", printed.err);
    assert!(printed.err.contains("such attributes"), "{}", printed.err);
}

/// The rows continue with the next program of the name.
#[test]
fn poll_follow_keeps_to_name_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    all_kinds(&dir.path().join("other.mmst"));
    let mut first = Publisher::start(dir.path());
    let mut command = mmstats(dir.path());
    command.args(["poll", "--follow", "-d0.05", "--json", "demo.blocks", &first.pid()]);
    let mut child = Ended(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut rows = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut wait_for_programs = |count: u64| {
        let row = rows.find(|row| {
            let row: serde_json::Value = serde_json::from_str(row.as_ref().unwrap()).unwrap();
            row["programs"] == count
        });
        assert!(row.is_some(), "poll ended before {count} programs");
    };
    wait_for_programs(1);
    first.kill();
    std::fs::remove_file(&first.path).unwrap();
    wait_for_programs(0);
    let _second = Publisher::start(dir.path());
    wait_for_programs(1);
}

/// `poll --follow PID` shows that process, then its successor, and no other program of the command.
#[test]
fn poll_follow_of_process_keeps_to_it_and_its_successor() {
    let dir = tempfile::tempdir().unwrap();
    let earlier = Publisher::start(dir.path());
    let mut followed = Publisher::start(dir.path());
    let mut command = mmstats(dir.path());
    command.args(["poll", "--follow", "-d0.05", "--json", "demo.blocks", &followed.pid()]);
    let mut child = Ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut rows = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut row =
        || -> serde_json::Value { serde_json::from_str(&rows.next().unwrap().unwrap()).unwrap() };
    for _ in 0..4 {
        assert_eq!(row()["programs"], 1);
    }
    followed.kill();
    while row()["programs"] == 1 {}
    let waiting = row();
    assert_eq!(
        (&waiting["programs"], &waiting["fields"][0]["rate"]),
        (&0.into(), &serde_json::Value::Null)
    );
    let successor = Publisher::start(dir.path());
    while row()["programs"] == 0 {}
    assert_eq!(row()["programs"], 1);
    drop(rows);
    let _ = child.0.wait();
    let mut messages = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    let name = |publisher: &Publisher| format!("mmstats-demo[{}]", publisher.pid());
    for words in [
        format!("{} died; `mmstats show ", name(&followed)),
        "waiting for the next".to_owned(),
        format!("now {}", name(&successor)),
    ] {
        assert!(messages.contains(&words), "{words}: {messages}");
    }
    assert!(!messages.contains(&name(&earlier)), "{messages}");
}

/// An image of a program that lives until the mapping is dropped, as one in a container does.
fn live_image(
    path: &Path,
    number: u32,
    pid: u64,
    command: &str,
    created: f64,
) -> mmstats_unix::OwnedFile {
    let mut schema = Schema::<16>::new();
    let mut add = |label, value| schema.add(FieldSpec::info(label, value)).map(drop).unwrap();
    add("sys.pid", Constant::U64(pid));
    add("sys.pid_ns", Constant::U64(1));
    add("sys.command", Constant::Text(command));
    add("sys.created", Constant::F64(created));
    schema.add(FieldSpec::counter("hits")).unwrap();
    // Observers never see it without its lock.
    let hidden = path.with_extension("new");
    image(&hidden, &schema, |writer| {
        writer.lane().unwrap();
    });
    common::set_instance(&hidden, number);
    let owned = mmstats_unix::reopen(&hidden).unwrap();
    std::fs::rename(&hidden, path).unwrap();
    owned
}

/// A program of a container may have the same process id, and be younger.
#[test]
fn poll_follow_of_process_prefers_it_to_its_namesake_in_a_container() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    let pid = publisher.pid();
    let path = dir.path().join("inner.mmst");
    let _inner = live_image(&path, 1, pid.parse().unwrap(), "inner", 1e12);
    let row = json(dir.path(), &["poll", "--follow", "-c1", "-d0.1", "--json", "*", &pid]);
    let labels = row["fields"].as_array().unwrap().iter().map(|field| &field["label"]);
    let labels: Vec<_> = labels.collect();
    assert!(labels.iter().any(|label| *label == "demo.blocks"), "{row}");
    assert!(!labels.iter().any(|label| *label == "hits"), "{row}");
}

/// A process that is not there at first is followed once it is.
#[test]
fn poll_follow_of_process_that_comes_later_keeps_to_its_successor() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = mmstats(dir.path());
    command.args(["poll", "--follow", "-d0.05", "--json", "hits", "4294967290"]);
    let mut child = Ended(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut rows = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut wait_for_programs = |count: u64| {
        let row = rows.by_ref().take(200).find(|row| {
            let row: serde_json::Value = serde_json::from_str(row.as_ref().unwrap()).unwrap();
            row["programs"] == count
        });
        assert!(row.is_some(), "no row with {count} programs");
    };
    wait_for_programs(0);
    let path = dir.path().join("first.mmst");
    let first = live_image(&path, 1, 4_294_967_290, "late", 1_000.0);
    wait_for_programs(1);
    drop(first);
    wait_for_programs(0);
    let _next = live_image(&dir.path().join("next.mmst"), 2, 4_294_967_291, "late", 2_000.0);
    wait_for_programs(1);
}

/// A program that has ended has no rates, which a message says.
#[test]
fn poll_of_dead_process_has_no_rates_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    let mut publisher = Publisher::start(dir.path());
    publisher.kill();
    let printed =
        run(dir.path(), &["poll", "-d0.05", "demo.blocks,demo.failures", &publisher.pid()]);
    assert_eq!(printed.code, Some(1), "{}", printed.err);
    let row: Vec<&str> = printed.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["-", "-"]);
    let words = format!("mmstats-demo[{0}] died about ", publisher.pid());
    assert!(printed.err.contains(&words), "{}", printed.err);
    assert!(
        printed.err.contains(&format!("`mmstats show {}`", publisher.pid())),
        "{}",
        printed.err
    );
}

/// Beside a live program those that ended are not shown, and counted.
#[test]
fn show_of_name_says_which_ended_programs_it_leaves_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut ended: Vec<Publisher> = (0..2).map(|_| Publisher::start(dir.path())).collect();
    ended.iter_mut().for_each(Publisher::kill);
    let show =
        |arguments: &[&str]| run(dir.path(), &[&["show", "-F", "demo.blocks"], arguments].concat());
    assert_eq!(show(&["mmstats-demo"]).err, "");
    let live = Publisher::start(dir.path());
    let printed = show(&["mmstats-demo"]);
    assert_eq!(printed.out.lines().count(), 1);
    assert_eq!(printed.err, "mmstats: 2 ended programs of the name mmstats-demo: --all\n");
    assert_eq!(printed.code, Some(0));
    assert_eq!(
        (show(&["--all", "mmstats-demo"]).err.as_str(), show(&[&live.pid()]).err.as_str()),
        ("", "")
    );
}

/// An earlier program of the name does not take the place of one that ends meanwhile.
#[test]
fn show_watch_keeps_to_program_that_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = Publisher::start(dir.path());
    old.kill();
    let mut live = Publisher::start(dir.path());
    let mut command = mmstats(dir.path());
    command.args(["show", "-w", "-d0.05", "--json", "-F", "demo.blocks", "mmstats-demo"]);
    let mut child = Ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut documents = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut shown = || -> Vec<(String, String)> {
        let document: serde_json::Value =
            serde_json::from_str(&documents.next().unwrap().unwrap()).unwrap();
        let files = document["files"].as_array().unwrap().iter();
        files.map(|file| (file["pid"].to_string(), file["state"].to_string())).collect()
    };
    let state = |state: &str| vec![(live.pid(), format!("\"{state}\""))];
    let (alive, dead) = (state("live"), state("dead"));
    assert_eq!(shown(), alive);
    live.kill();
    while shown() == alive {}
    assert_eq!(shown(), dead);
    std::fs::remove_file(&live.path).unwrap();
    while shown() == dead {}
    assert_eq!(shown(), []);
    let next = Publisher::start(dir.path());
    let mut now = shown();
    while now.is_empty() {
        now = shown();
    }
    assert_eq!(now[0].0, next.pid());
    drop(documents);
    let _ = child.0.wait();
    let mut messages = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    for words in
        [format!("mmstats-demo[{}] died", live.pid()), format!("now mmstats-demo[{}]", next.pid())]
    {
        assert!(messages.contains(&words), "{words}: {messages}");
    }
    assert_eq!(messages.matches("waiting for").count(), 1, "{messages}");
}

/// The last program goes with its file, which is said once.
#[test]
fn show_watch_without_programs_says_once_that_it_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = Publisher::start(dir.path());
    let mut command = mmstats(dir.path());
    command.args(["show", "-w", "-d0.1", "-c20", "--json", "mmstats-demo"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut documents = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(documents.next().unwrap().unwrap().contains("\"live\""));
    dead.kill();
    std::fs::remove_file(&dead.path).unwrap();
    assert_eq!(documents.count(), 19);
    let messages = printed(child.wait_with_output().unwrap()).err;
    assert_eq!(messages.matches("waiting for the next one").count(), 1, "{messages}");
}

/// A program of the name that had ended before does not take the place of one that ends now.
#[test]
fn watch_of_name_leaves_out_program_that_had_ended_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = Publisher::start(dir.path());
    dead.kill();
    for command in ["show", "threads"] {
        if command == "threads" && cfg!(not(feature = "threads")) {
            continue;
        }
        let mut watch = mmstats(dir.path());
        watch.args([command, "-w", "-d0.05", "--json", "mmstats-demo"]);
        let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut documents = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut shown = || -> Vec<u64> {
            let document: Value =
                serde_json::from_str(&documents.next().unwrap().unwrap()).unwrap();
            let all = document.get("files").or(document.get("programs")).unwrap();
            let head = |one: &Value| one.get("file").unwrap_or(one)["pid"].as_u64().unwrap();
            all.as_array().unwrap().iter().map(head).collect()
        };
        assert_eq!(shown(), [0_u64; 0], "{command}");
        let live = Publisher::start(dir.path());
        while shown().is_empty() {}
        std::fs::remove_file(&live.path).unwrap();
        while shown() == [u64::from(live.child.id())] {}
        for _ in 0..3 {
            assert_eq!(shown(), [0_u64; 0], "{command}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A program whose file is truncated has not ended.
#[test]
fn watching_of_truncated_file_does_not_say_that_its_program_ended() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    // Or else it publishes its values again.
    publisher.signal("STOP");
    let bytes = std::fs::read(&publisher.path).unwrap();
    let (path, pid) = (publisher.path(), &*publisher.pid());
    let cases: [&[&str]; 5] = [
        &["show", "-w", "-F", "demo.blocks", "mmstats-demo"],
        &["show", "-w", "-F", "demo.blocks", path],
        &["show", "-w", "-F", "demo.blocks", pid],
        &["poll", "--follow", "demo.blocks", "mmstats-demo"],
        &["poll", "--follow", "demo.blocks", pid],
    ];
    for arguments in cases {
        let mut command = mmstats(dir.path());
        command.args(arguments).args(["-d0.1", "-c12", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut documents = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(documents.next().is_some());
        let file = std::fs::File::options().write(true).open(&publisher.path).unwrap();
        file.set_len(100).unwrap();
        assert_eq!(documents.count(), 11, "{arguments:?}");
        let messages = printed(child.wait_with_output().unwrap()).err;
        let words = format!("mmstats-demo[{}] cannot be read any more", publisher.pid());
        assert!(messages.contains(&words), "{arguments:?}: {messages}");
        assert!(!messages.contains(" ended"), "{arguments:?}: {messages}");
        file.set_len(bytes.len() as u64).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    }
}

/// Commands that take files name those of a process.
#[test]
fn commands_for_files_name_those_of_process_and_program() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    for command in ["check", "dump", "scan", "clean"] {
        for word in [&publisher.pid(), "mmstats-demo"] {
            let printed = run(dir.path(), &[command, word]);
            assert_eq!(printed.code, Some(1));
            assert!(printed.err.contains("(not-found)"), "{}", printed.err);
            assert!(printed.err.contains(&format!(" has {}", publisher.path())), "{}", printed.err);
        }
    }
}
