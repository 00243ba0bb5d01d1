//! A file of core and backend alone is a program to the tools.
#![cfg(unix)] // The example uses the backend of Unix.

mod common;
#[path = "../../backend-unix/examples/embed.rs"]
mod embed;

use common::{field, json, run};

#[test]
fn embedded_publisher_is_found_by_pid() {
    // In a child, since the directory comes from the environment.
    let directory = tempfile::tempdir().unwrap();
    if let Ok(path) = std::env::var("EMBEDDED_IN") {
        let published = embed::publish().unwrap();
        published.requests.add(3);
        let pid = std::process::id().to_string();
        let document = json(path.as_ref(), &["show", &pid, "--json"]);
        assert_eq!(field(&document, "requests")["value"], 3, "{document}");
        let listed = run(path.as_ref(), &["ls"]);
        assert!(listed.out.contains(&pid) && listed.out.contains("embedded"), "{}", listed.out);
        published.file.remove().unwrap();
        return;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.arg("--exact").arg("embedded_publisher_is_found_by_pid");
    child.env("EMBEDDED_IN", directory.path()).env("MMSTATS_PATH", directory.path());
    let output = child.env_remove("MMSTATS_FILES").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}
