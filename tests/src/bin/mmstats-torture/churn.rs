//! Workers of an application that come and go, are stopped and killed: no look misses or doubles a
//! job.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use mmstats_observe::{Observer, OwnedValue, Sources, Totals};
use mmstats_tests::actor::{program, random};
use mmstats_tests::system::{Signal, signal};
use mmstats_tests::word::SharedWord;

use crate::plan::Plan;
use crate::table::{Row, Table};
use crate::tools::{names, place};

/// Jobs of a worker.
const JOBS: u64 = 20;
/// Workers at the same time.
const BESIDE: usize = 12;
/// Post-mortems that a start keeps, the ledger and the one before, and what is between two steps.
const FILES_BESIDE: usize = 8 + 2 + 2 * BESIDE;

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    table.row("workers that end", |row| churn(plan, row, false));
    table.row("workers that are stopped and killed", |row| churn(plan, row, true));
}

struct Words {
    /// Jobs that were begun, and those that were counted.
    begun: SharedWord,
    done: SharedWord,
}

fn churn(plan: &Plan, row: &mut Row, killed: bool) {
    let (directory, beside) = (place(), place());
    let at = directory.path();
    let paths = ["begun", "done"].map(|name| beside.path().join(name));
    let words = Words {
        begun: SharedWord::open(&paths[0]).expect("a word"),
        done: SharedWord::open(&paths[1]).expect("a word"),
    };
    let start = || {
        let mut command = Command::new(program("mmstats-actor"));
        command.arg("worker").arg(at).args(&paths).arg(JOBS.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a worker")
    };
    let workers = plan.pick(150, 1000);
    let mut observer = Observer::new(Sources::new().path(at));
    let (mut running, mut started, mut last, mut most) = (VecDeque::new(), 0, 0, 0);
    let (mut incomplete, mut looks) = (0, 0);
    while started < workers || !running.is_empty() {
        while started < workers && running.len() < BESIDE {
            running.push_back(start());
            started += 1;
        }
        if killed {
            disturb(&mut running);
        }
        running.retain_mut(|worker: &mut Child| !matches!(worker.try_wait(), Ok(Some(_))));
        looks += 1;
        row.case(|| match look(&mut observer, &words) {
            Some((least, seen, greatest)) if seen >= least && seen <= greatest && seen >= last => {
                last = seen;
                Ok(())
            }
            Some((least, seen, greatest)) => {
                Err(format!("{seen} of {least} to {greatest}, {last} before"))
            }
            None => {
                incomplete += 1;
                Ok(())
            }
        });
        most = most.max(names(at).len());
    }
    // One more takes in who was killed.
    let _ = start().wait();
    row.case(|| {
        let mut fresh = Observer::new(Sources::new().path(at));
        let (least, seen, greatest) = look(&mut fresh, &words).ok_or("incomplete at the end")?;
        let exact = killed || (least, greatest) == (seen, (workers + 1) * u128::from(JOBS));
        if seen < least || seen > greatest || !exact {
            return Err(format!("{seen} of {least} to {greatest} at the end"));
        }
        Ok(())
    });
    row.case(|| {
        let left = names(at).len();
        let limit = if killed { FILES_BESIDE } else { 1 };
        if left > limit || most > FILES_BESIDE + BESIDE {
            return Err(format!("{left} files at the end, {most} at most"));
        }
        Ok(())
    });
    row.contended = Some(incomplete);
    row.remark = format!("{workers} workers, {last} jobs, at most {most} files");
    // Most looks are whole.
    if incomplete * 4 > looks {
        row.lose(format!("{incomplete} looks were incomplete"));
    }
}

/// Stops, continues or kills one of the workers.
fn disturb(running: &mut VecDeque<Child>) {
    let Some(index) = usize::try_from(random()).unwrap_or(0).checked_rem(running.len()) else {
        return;
    };
    let pid = running[index].id();
    match random() % 6 {
        0 => drop(running[index].kill()),
        1 => {
            // It continues after others have gone on.
            let _ = signal(pid, Signal::Stop);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                let _ = signal(pid, Signal::Continue);
            });
        }
        _ => {}
    }
}

/// Jobs that were done before the look, those that it shows, those that were begun after it; `None`
/// if it says that it is incomplete.
fn look(observer: &mut Observer, words: &Words) -> Option<(u128, u128, u128)> {
    let least = words.done.get().load(Ordering::SeqCst).into();
    observer.refresh();
    let incomplete = observer.problems().any(|problem| problem.code == "unsettled");
    let mut totals = Totals::new();
    totals.update(observer.files(), None);
    let greatest = words.begun.get().load(Ordering::SeqCst).into();
    let total = totals.get("jobs").next().and_then(|total| total.reading.value.clone());
    let seen = match total {
        Some(OwnedValue::Unsigned(n)) => n,
        _ => 0,
    };
    (!incomplete).then_some((least, seen, greatest))
}
