//! Creation.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use memmap2::MmapMut;
use mmstats::{Options, Publisher};
use mmstats_benches::work::programs::{Fifty, directory};
use mmstats_benches::{Base, Contest, Subject};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

/// Names of fifty fields.
fn names() -> Vec<String> {
    (0..50).map(|i| format!("group.{}.field_{i}", i / 10)).collect()
}

/// A file by hand: its bytes are known, it is filled, locked, mapped, and gets its name.
struct Made {
    _file: File,
    _map: MmapMut,
    path: PathBuf,
}

impl Made {
    fn new(directory: &Path, number: usize, image: &[u8]) -> Self {
        let (temporary, path) =
            (directory.join(format!(".{number}")), directory.join(format!("{number}.mmstats")));
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create_new(true).open(&temporary).expect("a file");
        file.write_all(image).expect("room");
        file.lock().expect("a lock");
        // SAFETY: the file is not truncated while it is mapped.
        let map = unsafe { MmapMut::map_mut(&file) }.expect("a mapping");
        std::fs::rename(temporary, &path).expect("a name");
        Self { _file: file, _map: map, path }
    }
}

fn publisher(directory: &TempDir) -> Publisher<Fifty> {
    Options::new().directory(directory.path()).start().expect("a publisher")
}

pub(crate) fn groups(contest: &mut Contest) {
    contest.group("publisher of 50 fields", |group| {
        let original = directory();
        let publisher_of_image = publisher(&original);
        let image = std::fs::read(&publisher_of_image.paths()[0]).expect("an image");
        group.add(Subject::floor_cleared(
            "by hand: known bytes in a locked file",
            (directory(), Vec::new(), image),
            |(directory, made, image), n| {
                for _ in 0..n {
                    let next = Made::new(directory.path(), made.len(), image);
                    made.push(next);
                }
            },
            |(_, made, _)| {
                for made in made.drain(..) {
                    std::fs::remove_file(&made.path).expect("a file");
                }
            },
        ));
        let ours = Subject::ours_cleared(
            "mmstats",
            (directory(), Vec::new()),
            |(directory, publishers), n| {
                for _ in 0..n {
                    publishers.push(publisher(directory));
                }
            },
            |(_, publishers)| publishers.clear(),
        );
        group.add(ours.at_most(4.0, Base::Floor));
        let names = names();
        group.add(Subject::peer_cleared(
            "prometheus-client, in memory",
            (names, Vec::new()),
            |(names, registries), n| {
                for _ in 0..n {
                    let mut registry = Registry::default();
                    for name in names.iter() {
                        registry.register(name, "Bytes sent.", Counter::<u64>::default());
                    }
                    registries.push(registry);
                }
            },
            |(_, registries)| registries.clear(),
        ));
        #[cfg(pcp)]
        group.add(crate::pcp::start());
    });
}
