//! `mmstats show --at`.

use std::time::{Duration, UNIX_EPOCH};

use crate::common::{self, json, run};
use crate::recorded::{at, find, recorded};

#[test]
fn show_at_prints_what_show_printed_then() {
    let web = recorded();
    let schema = common::schema::Schema::load();
    for (time, queue) in &web.moments {
        let document = json(&web.stats(), &["show", "--json", "--at", &at(*time), web.file()]);
        schema.validate("show", &document).unwrap_or_else(|why| panic!("{why}: {document}"));
        assert_eq!(find(&document, "queue")["value"], *queue);
        let then = time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((document["time"].as_f64().unwrap() - then).abs() < 5.0);
    }
    // At the end all values are those of the program now.
    let place = web.stats();
    let place = place.to_str().unwrap();
    for form in
        [&["--plain"][..], &["--plain", "--level=debug"], &["--plain", "-F", "requests{status=5*}"]]
    {
        let mut live = vec!["show"];
        live.extend(form);
        let mut then = live.clone();
        live.push(place);
        then.push(web.file());
        let (live, then) = (run(&web.stats(), &live), run(&web.stats(), &then));
        assert_eq!((then.code, &*then.err), (Some(0), ""));
        let changing = |line: &&str| !line.starts_with("sys.") && !line.starts_with("doing");
        let lines = |text: &str| -> Vec<String> {
            text.lines().filter(changing).map(str::to_owned).collect()
        };
        assert_eq!(lines(&then.out), lines(&live.out), "{form:?}");
        assert!(!lines(&then.out).is_empty());
    }
    let live = json(&web.stats(), &["show", "--json", place]);
    let then = json(&web.stats(), &["show", "--json", web.file()]);
    for key in ["path", "format", "instance", "pid", "command", "owner", "state", "process"] {
        assert_eq!(then["files"][0][key], live["files"][0][key], "{key}");
    }
    // Ages are as of then.
    std::thread::sleep(Duration::from_millis(1_500));
    let then = json(&web.stats(), &["show", "--json", web.file()]);
    let age = find(&then, "doing")["value"]["rows"][0]["age_seconds"].as_f64().unwrap();
    let since = web.moments[2].0.duration_since(web.moments[0].0).unwrap().as_secs_f64();
    assert!(age < since + 1.4, "{age}");
}

#[test]
fn show_at_says_what_the_recording_does_not_have() {
    let web = recorded();
    let dir = web.directory.path();
    for (arguments, code, words) in [
        (&["show", "--at", "@1000", web.file()][..], 1, "before the recording, which begins at"),
        (&["show", "--at", "2100-01-01T00:00:00Z", web.file()], 0, "the last look before"),
        (&["show", "--at", "-1h", web.file()], 1, "before the recording"),
        (&["show", "--at", "soon", web.file()], 2, "not a time like"),
        (&["show", "--at", "-5m", "no-such-program"], 2, "--at needs a recording"),
        (&["show", "--lanes", web.file()], 2, "a recording has no lanes"),
        (&["show", web.file(), "no-such-program"], 1, "no such program"),
        (&["show", "-F", "queu", web.file()], 1, "near it are 'queue'"),
    ] {
        let printed = run(dir, arguments);
        assert_eq!(printed.code, Some(code), "{arguments:?}: {}", printed.err);
        assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
    }
    let pid = std::process::id().to_string();
    assert_eq!(run(dir, &["show", web.file(), &pid]).code, Some(0));
    // A cut tail is said.
    let bytes = std::fs::read(&web.file).unwrap();
    let cut = dir.join("cut.jsonl.gz");
    std::fs::write(&cut, &bytes[..bytes.len() - 10]).unwrap();
    let printed = run(dir, &["show", cut.to_str().unwrap()]);
    assert!(printed.err.contains("no whole block"), "{}", printed.err);
}
