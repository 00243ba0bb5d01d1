//! Messages about wrong names, filters and files, and about programs that ended or lost their files.

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use mmstats_core::{Constant, FieldSpec, Schema};

use common::{Publisher, all_kinds, image, mmstats, printed, run, wait_for};

#[test]
fn filter_that_nothing_matches_is_told_beside_the_others() {
    let dir = tempfile::tempdir().unwrap();
    all_kinds(&dir.path().join("kinds.mmst"));
    let show = |filter: &str| run(dir.path(), &["show", "--all", "-F", filter]);
    let both = show("load,laod,phas");
    assert_eq!(both.code, Some(1), "{}", both.err);
    assert!(both.out.starts_with("load\t"), "{}", both.out);
    for word in ["'laod'; near it are 'load'", "'phas'; near it are 'phase'"] {
        assert!(both.err.contains(word), "{word}: {}", both.err);
    }
    assert_eq!(both.err.lines().count(), 2, "{}", both.err);
    assert_eq!((show("load,phase").code, &*show("load,phase").err), (Some(0), ""));
    // In each of the first looks a field may still come.
    let watched = ["show", "--all", "-w", "-c1", "-F", "load,laod"];
    assert_eq!(run(dir.path(), &watched).code, Some(0));
}

/// The label is right: case is not what differs.
#[test]
fn wrong_attributes_are_told_from_a_wrong_label() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kinds.mmst");
    all_kinds(&path);
    let path = path.to_str().unwrap();
    let absent = "the label has no field with such attributes";
    for (arguments, words) in [
        (&["show", "--all", "-F", "requests{cod=\"2*\"}", path][..], absent),
        (&["alert", path, "requests{cod=\"2*\"} > 1"], absent),
        (
            &["show", "--all", "-F", "requests{code=\"200}", path],
            "attributes are written {key=\"value\"}",
        ),
    ] {
        let printed = run(dir.path(), arguments);
        let all = format!("{}{}", printed.out, printed.err);
        assert!(all.contains(words), "{arguments:?}: {all}");
        assert!(!all.contains("upper and lower case"), "{arguments:?}: {all}");
    }
}

/// Other programs of the directory may have some.
#[test]
fn events_of_program_without_rings_names_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let mut schema = Schema::<16>::new();
    schema.add(FieldSpec::info("sys.pid", Constant::U64(77))).unwrap();
    schema.add(FieldSpec::info("sys.command", Constant::Text("mute"))).unwrap();
    image(&dir.path().join("mute.mmst"), &schema, |_| {});
    all_kinds(&dir.path().join("kinds.mmst"));
    common::set_instance(&dir.path().join("kinds.mmst"), 5);
    let printed = run(dir.path(), &["events", "mute"]);
    assert_eq!((printed.code, &*printed.err), (Some(1), "mmstats: mute[77] has no events\n"));
    let printed = run(dir.path(), &["events", "-F", "lgo", "web"]);
    let words = "web[1234] has no events that match the filter 'lgo'";
    assert!(printed.err.contains(words), "{}", printed.err);
}

/// The value of MMSTATS_PATH hides where it publishes.
#[cfg(target_os = "linux")] // has names and mappings of processes
#[test]
fn process_of_the_name_with_files_elsewhere_is_said_to_have_them() {
    let (own, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = format!("p{}", std::process::id());
    let link = own.path().join(&name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mmstats"), &link).unwrap();
    let mut publisher = std::process::Command::new(&link);
    publisher.args(["demo-publisher", "--threads", "2"]).stdin(Stdio::piped());
    let mut child = publisher.env("MMSTATS_PATH", elsewhere.path()).spawn().unwrap();
    wait_for(|| (!common::files(elsewhere.path()).is_empty()).then_some(()));
    let printed = run(own.path(), &["show", &name]);
    child.kill().unwrap();
    child.wait().unwrap();
    let words = format!(
        "process {0} has this name, and its files elsewhere: `mmstats show {0}`",
        child.id()
    );
    assert!(printed.err.contains(&words), "{}", printed.err);
    assert_eq!(printed.code, Some(1));
}

#[cfg(target_os = "linux")] // tells whether the process runs
#[test]
fn removed_file_of_running_program_is_not_its_end() {
    for arguments in [&["show", "-w", "-F", "demo.blocks"][..], &["poll", "demo.blocks"]] {
        let dir = tempfile::tempdir().unwrap();
        let publisher = Publisher::start(dir.path());
        // Or else it publishes again.
        publisher.signal("STOP");
        let mut command = mmstats(dir.path());
        command.args(arguments).args(["-d0.1", "-c50", "--json", &publisher.pid()]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut documents = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(documents.next().is_some());
        std::fs::remove_file(&publisher.path).unwrap();
        documents.for_each(drop);
        let messages = printed(child.wait_with_output().unwrap()).err;
        let name = format!("mmstats-demo[{}]", publisher.pid());
        let words = format!("the files of {name} are gone; it still runs");
        assert!(messages.contains(&words), "{arguments:?}: {messages}");
        assert!(!messages.contains("ended"), "{arguments:?}: {messages}");
    }
}

#[cfg(all(target_os = "linux", feature = "threads"))] // has zombies in /proc
#[test]
fn threads_of_zombie_are_those_of_its_program_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut publisher = Publisher::start(dir.path());
    publisher.child.kill().unwrap();
    let pid = publisher.pid();
    let is_zombie = || run(dir.path(), &["ls", "--table", &pid]).out.contains(" zombie ");
    wait_for(|| is_zombie().then_some(()));
    let printed = run(dir.path(), &["threads", "--table", &pid]);
    assert!(printed.out.contains("ended, and its parent has not waited for it"), "{}", printed.out);
    assert!(!printed.out.contains("publishes nothing"), "{}", printed.out);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
}

#[cfg(feature = "threads")] // its command
#[test]
fn threads_watch_of_name_that_is_not_there_waits() {
    let dir = tempfile::tempdir().unwrap();
    let _other = Publisher::start(dir.path());
    let printed = run(dir.path(), &["threads", "-w", "-c2", "-d0.1", "no-such-program"]);
    assert!(printed.err.contains("waiting: no-such-program: no program"), "{}", printed.err);
    assert!(!printed.err.contains("no live program"), "{}", printed.err);
    assert_eq!(printed.code, Some(0));
}

/// Its program may come.
#[test]
fn events_that_follow_nothing_say_that_they_wait() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = mmstats(dir.path());
    let mut child = command.args(["events", "-f"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = messages.next().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.contains("waiting for a program in "), "{first}");
}

#[test]
fn name_that_is_a_part_of_another_one_is_told_that() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    let printed = run(dir.path(), &["show", "demo"]);
    assert!(printed.err.contains("there is mmstats-demo"), "{}", printed.err);
    // A prefix alone makes no field likely.
    let printed = run(dir.path(), &["show", "-F", "demo.nosuch", &publisher.pid()]);
    assert!(printed.err.contains("'demo.nosuch'; `mmstats show` lists all"), "{}", printed.err);
}

/// As the program calls it; the system has the name of the process.
#[cfg(all(target_os = "linux", feature = "threads"))] // names of threads
#[test]
fn first_thread_has_one_name_in_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    let pid = publisher.pid();
    // Its lane comes a moment after the file.
    let line = wait_for(|| {
        let shown = run(dir.path(), &["show", "-l", "--table", &pid]).out;
        shown.lines().find(|line| line.contains(&format!("thread {pid} "))).map(str::to_owned)
    });
    assert!(line.contains(" main: lane"), "{line}");
    let threads = run(dir.path(), &["threads", &pid]).out;
    assert!(threads.contains(&format!("\tthread\t{pid}\tmain\t")), "{threads}");
}

/// Those that have ended are counted where they are left out, and their ages have a remark.
#[cfg(all(unix, feature = "threads"))] // signals
#[test]
fn ended_programs_are_counted_and_their_ages_explained() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = Publisher::start(dir.path());
    wait_for(|| run(dir.path(), &["show", "-F", "demo.doing"]).out.contains("block").then_some(()));
    dead.child.kill().unwrap();
    dead.child.wait().unwrap();
    let pid = dead.pid();
    let shown = run(dir.path(), &["show", "--table", &pid]).out;
    assert!(
        shown.contains(
            "ages count from each begin until this look, not until the end of the program"
        ),
        "{shown}"
    );
    let _live = Publisher::start(dir.path());
    for command in ["show", "threads"] {
        let printed = run(dir.path(), &[command, "mmstats-demo"]);
        let words = "1 ended program of the name mmstats-demo: --all";
        assert!(printed.err.contains(words), "{command}: {}", printed.err);
        let all = run(dir.path(), &[command, "--all", "mmstats-demo"]);
        assert!(!all.err.contains("ended program"), "{command}: {}", all.err);
        // Also where those that ended are left out for good.
        let said = tempfile::NamedTempFile::new().unwrap();
        let mut watching = mmstats(dir.path());
        watching.args([command, "-w", "-d0.05", "mmstats-demo"]).stdout(Stdio::null());
        let mut watching = watching.stderr(said.reopen().unwrap()).spawn().unwrap();
        wait_for(|| std::fs::read_to_string(said.path()).unwrap().contains(words).then_some(()));
        watching.kill().unwrap();
        watching.wait().unwrap();
    }
}

#[cfg(feature = "serve")] // its command
#[test]
fn serve_of_name_that_is_not_there_says_that_it_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = mmstats(dir.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "no-such-program"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = messages.next().unwrap();
    // Removes the file of its token.
    #[cfg(unix)] // Windows has no signals
    if messages.any(|line| line.contains("the page is")) {
        common::signal(child.id(), "TERM");
    }
    #[cfg(not(unix))] // has no signals
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.contains("waiting: no-such-program: no program"), "{first}");
}

/// `clean` takes directories, other commands for files say which files one has.
#[test]
fn clean_of_directory_does_not_ask_for_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let messages = |arguments: &[&str]| run(dir.path(), arguments).err;
    assert!(messages(&["clean", path]).contains("nothing to clean in"));
    assert!(!messages(&["clean", path]).contains("this takes files"));
    all_kinds(&dir.path().join("kinds.mmst"));
    std::fs::write(dir.path().join("broken.mmst"), "no image").unwrap();
    assert!(!messages(&["clean", "--dry-run", path]).contains("this takes files"));
    assert!(messages(&["dump", path]).contains("this takes files; those of the directory are"));
}
