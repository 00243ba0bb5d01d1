//! A prefork server whose workers publish as programs of their own.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;

use mmstats_observe::{FileState, Fold, Observer, OwnedValue, Sources, Totals};
use mmstats_tests::look::{file, look, states, unsigned};
use mmstats_tests::system::{Signal, signal};

use mmstats_tests::actor::{Actor, directory};

/// Clients, with the number of answers by process id of the worker.
struct Clients<'a> {
    socket: &'a Path,
    answers: HashMap<u32, u128>,
}

impl Clients<'_> {
    fn ask(&mut self, times: usize) {
        for _ in 0..times {
            let mut answer = String::new();
            let mut stream = UnixStream::connect(self.socket).unwrap();
            stream.read_to_string(&mut answer).unwrap();
            *self.answers.entry(answer.trim().parse().unwrap()).or_default() += 1;
        }
    }

    fn sum(&self) -> u128 {
        self.answers.values().sum()
    }
}

/// An observer that folds ended workers into its totals.
struct Watcher {
    observer: Observer,
    fold: Fold,
    totals: Totals,
}

impl Watcher {
    fn new(directory: &Path) -> Self {
        let observer = Observer::new(Sources::new().path(directory));
        Self { observer, fold: Fold::new(), totals: Totals::new() }
    }

    /// The sum of `added`.
    fn sum(&mut self) -> u128 {
        let changes = self.observer.refresh();
        self.fold.add_ended(self.observer.files(), &changes.vanished);
        self.totals.update(self.observer.files(), Some(&self.fold));
        match self.totals.get("added").next().and_then(|total| total.reading.value.clone()) {
            Some(OwnedValue::Unsigned(n)) => n,
            other => panic!("{other:?}"),
        }
    }
}

/// Number of programs, without the ledger of the workers.
fn processes(observer: &Observer) -> usize {
    observer.programs().iter().filter(|program| program.ledger().is_none()).count()
}

/// State and count in the file of a worker, found by its process id.
fn count_of(observer: &Observer, pid: u32) -> (FileState, u128) {
    let mut found = observer.files().iter().filter(|file| file.identity().pid == Some(pid));
    let file = found.next().unwrap_or_else(|| panic!("no {pid} in {:?}", states(observer)));
    assert!(found.next().is_none(), "two files of {pid}");
    let added = unsigned(&look(file.path()), "added");
    (file.state(), added)
}

#[test]
fn workers_that_die_and_are_replaced_sum_exactly() {
    let (directory, place) = (directory(), directory());
    let socket = place.path().join("socket");
    let mut server = Actor::start("prefork", directory.path(), &[socket.to_str().unwrap()]);
    let ready = server.line();
    let parents = Path::new(ready.strip_prefix("ready ").unwrap());
    server.ask("update 10");
    let fork = |server: &mut Actor, how: &str| -> u32 { server.ask(how).parse().unwrap() };
    let workers: Vec<u32> = (0..8).map(|_| fork(&mut server, "fork")).collect();
    server.ask("update 20");

    let mut clients =
        Clients { socket: &socket, answers: workers.iter().map(|w| (*w, 0)).collect() };
    let mut watcher = Watcher::new(directory.path());
    clients.ask(800);
    // 3 of each update of the parent.
    let parent = 2 * 3;
    let observer = look(directory.path());
    assert_eq!(observer.programs().len(), 9, "{:?}", states(&observer));
    for (pid, answers) in &clients.answers {
        assert_eq!(count_of(&observer, *pid), (FileState::Live, *answers), "worker {pid}");
    }
    assert_eq!(clients.answers.len(), 8, "only workers answer");
    assert_eq!(watcher.sum(), parent + 800);

    // Updates of a child with inherited handles are not published.
    let mute = fork(&mut server, "fork mute");
    let alone = |parent: u128| {
        let observer = look(directory.path());
        assert!(observer.files().iter().all(|file| file.identity().pid != Some(mute)));
        let file = file(&observer, parents);
        assert_eq!((file.state(), file.lanes().owned), (FileState::Live, 1));
        assert_eq!(unsigned(&look(parents), "added"), parent);
        assert_eq!(unsigned(&look(parents), "counter"), 20);
    };
    alone(parent);

    // Workers are killed in turn; the others keep serving, and the sum never drops.
    let mut sum = watcher.sum();
    for (dead, worker) in (1..).zip(&workers[..4]) {
        signal(*worker, Signal::Kill).unwrap();
        server.ask(&format!("wait {worker}"));
        let before = clients.answers[worker];
        clients.ask(50);
        assert_eq!(clients.answers[worker], before);
        let observer = look(directory.path());
        assert_eq!(count_of(&observer, *worker), (FileState::Dead, before), "its last value");
        let live = observer.files().iter().filter(|file| file.state() == FileState::Live).count();
        assert_eq!((live, observer.files().len()), (9 - dead, 9));
        let now = watcher.sum();
        assert!(now >= sum, "{sum} became {now}");
        assert_eq!(now, parent + clients.sum());
        sum = now;
    }

    // Replacements; the first one removes the files of the dead.
    let first = fork(&mut server, "fork tidy");
    assert_eq!(watcher.sum(), sum, "though four files are gone");
    assert_eq!(processes(&look(directory.path())), 1 + 4 + 1);
    let second = fork(&mut server, "fork");
    clients.answers.extend([(first, 0), (second, 0)]);
    clients.ask(200);
    let observer = look(directory.path());
    assert_eq!(processes(&observer), 1 + 4 + 2);
    for pid in workers[4..].iter().chain([&first, &second]) {
        assert_eq!(count_of(&observer, *pid), (FileState::Live, clients.answers[pid]));
    }
    assert_eq!(watcher.sum(), parent + clients.sum());
    assert_eq!(clients.sum(), 800 + 4 * 50 + 200);
    alone(parent);
    // The end of the parent changes no count.
    server.kill();
    assert_eq!(unsigned(&look(parents), "added"), parent);
}
