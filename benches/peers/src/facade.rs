//! The facade `metrics`, by its recorder.

use metrics::{counter, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use mmstats::{Lane, Publisher};
use mmstats_benches::work::facade::{constant_labels, histograms, kept, labels, plain};
use mmstats_benches::work::programs::{directory, options};
use mmstats_benches::{Base, Contest, Subject};
use mmstats_metrics::Recorder;
use tempfile::TempDir;

fn ours() -> (Recorder, Publisher<Lane>, TempDir) {
    let directory = directory();
    let publisher: Publisher<Lane> = options(&directory).start().expect("a publisher");
    (Recorder::new(&publisher.registry()), publisher, directory)
}

fn theirs() -> (PrometheusRecorder, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    (recorder, handle)
}

const OURS: &str = "mmstats-metrics";
const THEIRS: &str = "metrics-exporter-prometheus";

pub(crate) fn groups(contest: &mut Contest) {
    let works: [(_, fn(u64), _); 3] = [
        ("facade, counter!(name).increment(1)", plain, Some(6.0)),
        ("facade, with two constant labels", constant_labels, None),
        ("facade, with two labels of the moment", labels, None),
    ];
    for (title, work, faster) in works {
        contest.group(title, |group| {
            let mut subject = Subject::ours(OURS, ours(), move |(recorder, ..), n| {
                with_local_recorder(&*recorder, || work(n));
            });
            if let Some(faster) = faster {
                subject = subject.at_most(1.0 / faster, Base::BestPeer);
            }
            group.add(subject);
            group.add(Subject::peer(THEIRS, theirs(), move |(recorder, _), n| {
                with_local_recorder(&*recorder, || work(n));
            }));
        });
    }
    contest.group("facade, counter that is kept", |group| {
        let ours = ours();
        let counter = with_local_recorder(&ours.0, || counter!("kept"));
        let subject = Subject::ours(OURS, (counter, ours), |(counter, _), n| kept(counter, n));
        group.add(subject.at_most(1.0 / 5.0, Base::BestPeer));
        let theirs = theirs();
        let counter = with_local_recorder(&theirs.0, || counter!("kept"));
        group.add(Subject::peer(THEIRS, (counter, theirs), |(counter, _), n| kept(counter, n)));
    });
    contest.group("facade, histogram!(name).record(x)", |group| {
        let subject = Subject::ours(OURS, ours(), |(recorder, ..), n| {
            with_local_recorder(&*recorder, || histograms(|| (), n));
        });
        group.add(subject.at_most(1.0 / 8.0, Base::BestPeer));
        group.add(Subject::peer(THEIRS, theirs(), |(recorder, handle), n| {
            with_local_recorder(&*recorder, || histograms(|| handle.run_upkeep(), n));
        }));
    });
}
