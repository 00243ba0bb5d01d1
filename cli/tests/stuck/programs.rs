//! Programs with a fault, each a process of its own: this test binary with `STUCK` in its environment.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread::Builder;
use std::time::Duration;

use tracing::info_span;
use tracing_subscriber::prelude::*;

/// Name of the variable with the fault.
const STUCK: &str = "STUCK";

/// A running program with a fault.
pub(crate) struct Stuck(pub(crate) Child);

impl Stuck {
    /// Starts one that publishes in `directory`.
    pub(crate) fn start(fault: &str, directory: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "programs::program_with_a_fault",
            "--exact",
            "--nocapture",
            "--test-threads",
            "1",
        ]);
        command.env(STUCK, fault).env("MMSTATS_PATH", directory);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// Kills it by SIGKILL, and waits for its end.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, if this process is one.
#[test]
fn program_with_a_fault() {
    let Ok(fault) = std::env::var(STUCK) else { return };
    if fault == "plain" {
        // Without tracing and named locks: mmstats alone.
        let _publisher = mmstats::init();
        return locks_of_std(false);
    }
    let _publisher = mmstats::init();
    tracing_subscriber::registry().with(mmstats_tracing::layer()).init();
    match &*fault {
        "deadlock" => named_locks(),
        "deadlock-spans" => locks_of_std(true),
        "spin" => spin(),
        "async" => never_wakes(),
        "panic" => panics(),
        "segfault" => segfault(),
        _ => panic!("no fault {fault}"),
    }
}

fn named(name: &str, work: impl FnOnce() + Send + 'static) {
    Builder::new().name(name.to_owned()).spawn(work).unwrap();
}

fn for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3_600));
    }
}

/// Six threads and two named locks: two threads wait for each other, four for one of them.
fn named_locks() {
    let accounts = Arc::new(mmstats::sync::Mutex::new("accounts", 0));
    let log = Arc::new(mmstats::sync::Mutex::new("log", 0));
    let all = Arc::new(Barrier::new(6));
    for number in 1..=6_u32 {
        let (accounts, log, all) = (Arc::clone(&accounts), Arc::clone(&log), Arc::clone(&all));
        named(&format!("worker-{number}"), move || {
            let _span = info_span!("transfer", from = number).entered();
            let (first, second) = if number == 1 { (&log, &accounts) } else { (&accounts, &log) };
            let _held = (number <= 2).then(|| first.lock().unwrap());
            // Both have their first lock before anybody asks for another one.
            all.wait();
            let next = if number <= 2 { second } else { first };
            let _never = next.lock().unwrap();
            for_ever();
        });
    }
    for_ever();
}

/// The same with locks of std.
fn locks_of_std(spans: bool) {
    let accounts = Arc::new(std::sync::Mutex::new(0));
    let log = Arc::new(std::sync::Mutex::new(0));
    let both = Arc::new(Barrier::new(2));
    for number in 1..=2_u32 {
        let (accounts, log, both) = (Arc::clone(&accounts), Arc::clone(&log), Arc::clone(&both));
        named(&format!("worker-{number}"), move || {
            let _span = spans.then(|| info_span!("transfer", from = number).entered());
            let (first, second) = if number == 1 { (&log, &accounts) } else { (&accounts, &log) };
            let _held = first.lock().unwrap();
            both.wait();
            let _never = second.lock().unwrap();
            for_ever();
        });
    }
    for_ever();
}

/// A thread that uses a processor.
fn spin() {
    named("parser", || {
        let _span = info_span!("parse", file = "big.xml").entered();
        loop {
            std::hint::spin_loop();
        }
    });
    for_ever();
}

/// A task whose future is never woken, beside one that ends.
fn never_wakes() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).build().unwrap();
    runtime.block_on(async {
        use tracing::Instrument as _;
        let lost = std::future::pending::<()>().instrument(info_span!("fetch", id = 7));
        tokio::spawn(lost);
        tokio::spawn(async {}.instrument(info_span!("fetch", id = 8))).await.unwrap();
        std::future::pending::<()>().await;
    });
}

/// A thread that panics while others go on.
fn panics() {
    mmstats::global().unwrap().record_panics().unwrap();
    named("importer", || {
        let _outer = info_span!("import", part = 17).entered();
        let _inner = info_span!("row", number = 4).entered();
        panic!("no such column");
    });
    for_ever();
}

/// A thread that ends the program by SIGSEGV. The first one is for the handler of std.
fn segfault() {
    named("importer", || {
        let _span = info_span!("decode", frame = 3).entered();
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::SEGV).unwrap();
        }
    });
    for_ever();
}
