//! Programs that the tests start: `mmstats-actor ROLE DIRECTORY [ARGUMENT...]`.
//!
//! A program reports its progress in lines of its standard output, obeys lines of its standard input,
//! and ends when its input ends.

#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod daemon;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod fork;
#[cfg(target_os = "linux")]
mod large;
#[cfg(target_os = "linux")]
mod latency;
#[cfg(any(target_os = "linux", windows))]
mod lines;
#[cfg(target_os = "linux")]
mod prefork;
#[cfg(any(target_os = "linux", windows))]
mod publish;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod storage;
#[cfg(target_os = "linux")]
mod storms;
#[cfg(target_os = "linux")]
mod strict;
#[cfg(target_os = "linux")]
mod worker;
// Uses the facade and shared gauges, which need words of 64 bits.
#[cfg(all(target_os = "linux", target_pointer_width = "64", target_has_atomic = "64"))]
mod workers;

#[cfg(any(target_os = "linux", windows))]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().unwrap_or_default();
    let directory = std::path::PathBuf::from(arguments.next().unwrap_or_default());
    let rest: Vec<String> = arguments.collect();
    match role.as_str() {
        "idle" => publish::idle(&directory, &rest),
        "payload" => publish::payload(&directory, &rest),
        "many" => publish::many(&directory, &rest),
        "look" => publish::look(&directory, &rest),
        #[cfg(target_os = "linux")]
        role => on_linux(role, &directory, &rest),
        #[cfg(not(target_os = "linux"))]
        role => panic!("no role {role:?}"),
    }
}

#[cfg(target_os = "linux")]
fn on_linux(role: &str, directory: &std::path::Path, rest: &[String]) {
    match role {
        "latency" => latency::run(directory, rest),
        #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the module.
        "workers" => workers::run(directory, rest),
        #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the module.
        "parts" => workers::parts(directory, rest),
        "limited" => {
            disk::bounded(directory, "limit");
            lines::say("passed");
        }
        "forks" => storms::forks(directory, rest),
        "threads" => storms::threads(directory, rest),
        "recycle" => storms::recycle(directory),
        "server" => server::run(directory),
        "observe" => server::observe(directory),
        "pair" => storage::pair(directory, rest),
        "adding" => storage::adding(directory, rest),
        "storage" => storage::run(directory, rest),
        "strict" => strict::run(directory, rest),
        "disk" => disk::run(directory, rest),
        "nobody" => disk::as_nobody(directory),
        "large" => large::run(directory, rest),
        "fork" => fork::run(directory, rest),
        "prefork" => prefork::run(directory, rest),
        "daemon" => daemon::run(directory, rest),
        "worker" => worker::run(directory, rest),
        "look-as" => publish::look_as(directory, rest),
        "planted" => disk::planted(directory, rest),
        other => panic!("no role {other:?}"),
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
fn main() {}
