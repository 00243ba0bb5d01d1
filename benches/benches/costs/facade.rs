//! Instrumentation by the `metrics` facade, with our recorder.

use std::sync::Arc;

use metrics::{counter, with_local_recorder};
use mmstats::{Lane, Publisher};
use mmstats_benches::work::facade::{constant_labels, histograms, kept, labels, plain};
use mmstats_benches::work::programs::{directory, options};
use mmstats_benches::{Bench, Row};
use mmstats_metrics::Recorder;
use tempfile::TempDir;

use crate::publishing::Aide;

/// A recorder and its publisher.
struct Subject {
    recorder: Arc<Recorder>,
    _rest: (Publisher<Lane>, TempDir),
}

impl Subject {
    fn new() -> Self {
        let directory = directory();
        let publisher: Publisher<Lane> = options(&directory).start().expect("a publisher");
        let recorder = Arc::new(Recorder::new(&publisher.registry()));
        Self { recorder, _rest: (publisher, directory) }
    }
}

pub(crate) fn rows(bench: &mut Bench) {
    bench.section("the metrics facade");
    let works: [(_, fn(u64)); 4] = [
        ("counter!(name).increment(1)", plain),
        ("  with two constant labels", constant_labels),
        ("  with two labels of the moment", labels),
        ("histogram!(name).record(x)", |n| histograms(|| (), n)),
    ];
    for (name, work) in works {
        bench.row(Row::new(name), Subject::new, move |s, n| {
            with_local_recorder(&*s.recorder, || work(n));
        });
    }
    bench.row(
        Row::new("counter.increment(1), counter kept"),
        || {
            let subject = Subject::new();
            (with_local_recorder(&*subject.recorder, || counter!("kept")), subject)
        },
        |(counter, _), n| kept(counter, n),
    );
    bench.row_beside(
        Row::new("counter!(name).increment(1), two threads"),
        false,
        || {
            let subject = Subject::new();
            let recorder = Arc::clone(&subject.recorder);
            let aide = Aide::new(move || move || with_local_recorder(&*recorder, || plain(100)));
            (aide, subject)
        },
        |(aide, _)| aide.progress(),
        |(_, s), n| with_local_recorder(&*s.recorder, || plain(n)),
    );
}
