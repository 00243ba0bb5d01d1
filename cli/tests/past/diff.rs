//! `mmstats diff` of moments, files and now.

use std::time::{Duration, SystemTime};

use crate::common::{self, json, run};
use crate::recorded::{at, published, recorded, start};

#[test]
fn diff_has_what_differs_between_two_moments_and_now() {
    let web = recorded();
    let dir = web.directory.path();
    let (first, second) = (at(web.moments[0].0), at(web.moments[1].0));
    let two = ["diff", "--at", &first, "--at", &second, web.file(), web.file()];
    let printed = run(dir, &two);
    assert_eq!((printed.code, &*printed.err), (Some(0), ""));
    let line = |label: &str| -> Vec<&str> {
        let mut lines = printed.out.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        lines.find(|line| line[1] == label).unwrap_or_else(|| panic!("{label}: {}", printed.out))
    };
    assert_eq!(line("queue"), ["~", "queue", "1", "2", "1", "bytes"]);
    assert_eq!(
        line("requests{status=\"500\"}"),
        ["~", "requests{status=\"500\"}", "1", "3", "2", ""]
    );
    assert!(line("busy")[4].starts_with("count=1 sum=2000000"), "{}", printed.out);
    assert!(line("sizes")[4].starts_with("count=100 sum=10100"), "{}", printed.out);
    assert!(!printed.out.contains("sys."), "{}", printed.out);
    // Backwards.
    let back =
        run(dir, &["diff", "--at", &second, "--at", &first, "-F", "queue", web.file(), web.file()]);
    assert_eq!(back.out, "~\tqueue\t2\t1\t-1\tbytes\n");
    // A recording and now: nothing has changed since its end.
    let place = web.stats();
    let now = run(&place, &["diff", web.file(), place.to_str().unwrap()]);
    assert_eq!((now.code, &*now.out), (Some(0), ""), "{}", now.err);
    let now = ["diff", "--json", "--at", &first, web.file(), place.to_str().unwrap()];
    let document = json(&place, &now);
    let schema = common::schema::Schema::load();
    schema.validate("diff", &document).unwrap_or_else(|why| panic!("{why}: {document}"));
    let fields = document["programs"][0]["fields"].as_array().unwrap();
    let queue = fields.iter().find(|field| field["label"] == "queue").unwrap();
    let values = ["before", "after", "difference"].map(|key| queue[key].as_i64().unwrap());
    assert_eq!(values, [1, 3, 2]);
}

#[test]
fn diff_of_dead_files_has_added_and_gone_fields_and_identity() {
    use mmstats_core::{Constant, Counter as CoreCounter, FieldSpec, Schema};
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, pid: u64, other: &'static str, value: u64| {
        let mut schema = Schema::<16>::new();
        schema.add(FieldSpec::info("sys.pid", Constant::U64(pid))).unwrap();
        let hits = schema.add(FieldSpec::counter("hits")).unwrap();
        schema.add(FieldSpec::counter(other)).unwrap();
        let path = dir.path().join(name);
        common::image(&path, &schema, |writer| {
            CoreCounter::attach(&writer.lane().unwrap(), hits).unwrap().add(value);
        });
        common::set_instance(&path, u32::try_from(pid).unwrap());
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (write("a.mmst", 1, "old", 7), write("b.mmst", 2, "new", 9));
    let printed = run(dir.path(), &["diff", &a, &b]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    let lines: Vec<&str> = printed.out.lines().collect();
    assert_eq!(
        lines,
        ["~\tpid\t1\t2\t-\t", "~\thits\t7\t9\t2\t", "-\told\t0\t-\t-\t", "+\tnew\t-\t0\t-\t"]
    );
    let table = run(dir.path(), &["diff", "--table", &a, &b]).out;
    assert!(table.contains("+2") && table.contains("B - A"), "{table}");
    for (arguments, code) in [
        (&["diff", &a, "no-such-program"][..], 1),
        (&["diff", "--at", "-5m", &a, &b], 2),
        (&["diff", &a], 2),
    ] {
        assert_eq!(run(dir.path(), arguments).code, Some(code), "{arguments:?}");
    }
}

/// Their number is the same on both sides.
#[test]
fn diff_of_activities_shows_their_texts() {
    let web = published();
    let lane = web.publisher.lane().unwrap();
    let first = lane.doing.begin("GET /a");
    let (sampler, recorder) = start(&web.stats(), &web.file);
    sampler.wait(sampler.looks() + 3, Duration::from_secs(10));
    let before = at(SystemTime::now());
    drop(first);
    let second = lane.doing.begin("GET /b");
    sampler.wait(sampler.looks() + 3, Duration::from_secs(10));
    drop(sampler);
    recorder.finish();
    let file = web.file();
    let sides = ["--at", &before, "--at", "-1ms", "-F", "doing", file, file];
    let printed = run(web.directory.path(), &[&["diff", "--table"], &sides[..]].concat());
    drop(second);
    for text in ["\"GET /a\"", "\"GET /b\""] {
        assert!(printed.out.contains(text), "{}{}", printed.out, printed.err);
    }
}

/// Rows that are too wide for the table stand on lines of their own; nothing is cut.
#[test]
fn diff_table_is_as_wide_as_the_terminal() {
    let web = recorded();
    let [first, last] = [0, 2].map(|n: usize| at(web.moments[n].0));
    let arguments = ["diff", "--table", "--at", &first, "--at", &last, web.file(), web.file()];
    let table = |columns: &str| {
        let mut command = common::mmstats(web.directory.path());
        let printed = command.args(arguments).env("COLUMNS", columns).output().unwrap();
        let printed = common::printed(printed);
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        printed.out
    };
    let wide = table("400");
    assert!(wide.lines().all(|line| !line.trim_start().starts_with("A  ")), "{wide}");
    for columns in [40, 60, 80, 120] {
        let narrow = table(&columns.to_string());
        let longest = narrow.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= columns, "{longest} of {columns}:\n{narrow}");
        assert!(!narrow.contains('…'), "{narrow}");
        // The same words, apart from the heads of lines.
        for word in wide.split_whitespace().filter(|word| *word != "UNIT" && *word != "FIELD") {
            assert!(narrow.contains(word), "{word} of\n{wide}is not in\n{narrow}");
        }
    }
    // A number and its unit stand together, and the unit nowhere else.
    assert!(!wide.contains("nanoseconds") && wide.contains(" ms"), "{wide}");
    let narrow = table("40");
    let first = |line: &str| line.split_whitespace().next().map(|word| word.replace(',', ""));
    let is_unit =
        |line: &str| first(line).is_some_and(|word| ["ms", "µs", "ns", "s"].contains(&&*word));
    assert!(!narrow.lines().any(|line| line.starts_with("   ") && is_unit(line)), "{narrow}");
    let narrow = table("50");
    let (sizes, next) = (narrow.find("~  sizes").unwrap(), narrow.find("   B - A  +200").unwrap());
    assert!(sizes < next, "{narrow}");
}
