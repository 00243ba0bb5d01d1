//! Files, observed.

use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;
use mmstats_benches::work::reading::{Files, look, many_files, one_file, scan, sum_cold, sum_kept};
use mmstats_benches::{Base, Contest, Subject};
use mmstats_observe::{Observer, Totals};

/// A mapped file, its numbers read once.
struct Mapped {
    map: Mmap,
    descriptors: usize,
    fields: usize,
    lane: usize,
    cells: usize,
}

fn word32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

impl Mapped {
    fn new(path: &Path) -> Self {
        let file = File::open(path).expect("a file");
        // SAFETY: the file is not truncated while it is mapped; a changing value is tolerated here.
        let map = unsafe { Mmap::map(&file) }.expect("a mapping");
        let at = |offset| word32(&map, offset) as usize;
        let (descriptors, fields, lane, cells) = (at(56), at(132), at(76), at(88));
        Self { map, descriptors, fields, lane, cells }
    }

    fn label(&self, index: usize) -> &[u8] {
        let at = word32(&self.map, self.descriptors + index * 64) as usize;
        let len = usize::from(word32(&self.map, at) as u16);
        self.map.get(at + 2..at + 2 + len).unwrap_or(&[])
    }

    /// The value of a field that is an atomic scalar; 0 if it has none.
    fn value(&self, index: usize) -> u64 {
        let present = word32(&self.map, self.lane + 64 + index / 32 * 4) >> (index % 32) & 1;
        let cell = word32(&self.map, self.descriptors + index * 64 + 24) as usize;
        // SAFETY: the cell is aligned and inside of the mapping, which another process may write.
        let word = unsafe { &*self.map.as_ptr().add(self.lane + cell).cast::<AtomicU64>() };
        word.load(Ordering::Relaxed) * u64::from(present)
    }

    /// Whether the checksum of a descriptor and its strings is right.
    fn checksum(&self, index: usize) -> bool {
        let at = self.descriptors + index * 64;
        let (mut a, mut b) = (0_u64, 0_u64);
        let mut add = |bytes: &[u8]| {
            for word in bytes.as_chunks().0 {
                a += u64::from(u32::from_le_bytes(*word));
                b += a;
            }
        };
        add(self.map.get(at..at + 48).unwrap_or(&[]));
        for string in [0, 4, 8, 12, 44] {
            let at = word32(&self.map, at + string) as usize;
            if at != 0 {
                let size = (2 + (word32(&self.map, at) & 0xFFFF) as usize).next_multiple_of(4);
                add(self.map.get(at..at + size).unwrap_or(&[]));
            }
        }
        const MODULUS: u64 = 0xFFFF_FFFF;
        let sum = (b % MODULUS) << 32 | a % MODULUS;
        sum == u64::from(word32(&self.map, at + 56)) | u64::from(word32(&self.map, at + 60)) << 32
    }

    #[inline(never)]
    fn checked_sum(&self) -> u64 {
        let good = (0..self.fields).filter(|index| self.checksum(*index));
        good.fold(0, |sum, index| sum.wrapping_add(self.value(index)))
    }

    /// Visits adjacent counters: number and value, 0 if there is none.
    #[inline(always)]
    fn words(&self, mut visit: impl FnMut(usize, u64)) {
        for block in 0..self.fields.div_ceil(32) {
            let present = word32(&self.map, self.lane + 64 + block * 4);
            let start = self.lane + self.cells + block * 256;
            for i in 0..(self.fields - block * 32).min(32) {
                // SAFETY: as in `value`.
                let word = unsafe { &*self.map.as_ptr().add(start + i * 8).cast::<AtomicU64>() };
                let value = word.load(Ordering::Relaxed);
                visit(block * 32 + i, if present >> i & 1 == 1 { value } else { 0 });
            }
        }
    }

    /// The sum of adjacent counters.
    #[inline(never)]
    fn scan(&self) -> u64 {
        let mut sum = 0_u64;
        self.words(|_, value| sum = sum.wrapping_add(value));
        sum
    }
}

/// Sums by name of all files of a directory. Fields of another file usually have the same names in the same order.
#[inline(never)]
fn sum_by_hand(directory: &Path) -> Vec<(Box<[u8]>, u64)> {
    let mut sums: Vec<(Box<[u8]>, u64)> = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let mapped = Mapped::new(&path);
        for index in 0..mapped.fields {
            if !mapped.checksum(index) {
                continue;
            }
            let label = mapped.label(index);
            let known = match sums.get(index) {
                Some((name, _)) if **name == *label => Some(index),
                _ => sums.iter().position(|(name, _)| **name == *label),
            };
            match known {
                Some(known) => sums[known].1 = sums[known].1.wrapping_add(mapped.value(index)),
                None => sums.push((label.into(), mapped.value(index))),
            }
        }
    }
    sums
}

/// Opens a file anew and reads a field; closing is not timed.
fn opening(fields: u32, files: Files, read: impl Fn(&Observer) + 'static) -> (u32, Subject) {
    let subject = Subject::ours_cleared(
        "mmstats",
        (files, Vec::new()),
        move |(files, opened), n| {
            for _ in 0..n {
                let observer = look(&files.paths[0]);
                read(&observer);
                opened.push(observer);
            }
        },
        |(_, opened)| opened.clear(),
    );
    (fields, subject)
}

fn open_and_read(contest: &mut Contest, title: &'static str, fields: u32) {
    contest.group(title, |group| {
        let files = one_file(fields, false);
        let path = files.paths[0].clone();
        assert_eq!(Mapped::new(&path).checked_sum(), scan(&look(&path)));
        let floor = Subject::floor_cleared(
            "by hand: mmap, checksums, values",
            (one_file(fields, false), Vec::new()),
            |(files, opened), n| {
                for _ in 0..n {
                    let mapped = Mapped::new(&files.paths[0]);
                    black_box(mapped.checked_sum());
                    opened.push(mapped);
                }
            },
            |(_, opened)| opened.clear(),
        );
        group.add(floor.per(fields));
        let (_, ours) = opening(fields, files, |observer| {
            black_box(scan(observer));
        });
        group.add(ours.per(fields).at_most(2.0, Base::Floor));
        #[cfg(pcp)]
        group.add(crate::pcp::open(fields));
    });
}

fn scanning(contest: &mut Contest, title: &'static str, fields: u32) {
    contest.group(title, |group| {
        let files = one_file(fields, false);
        let path = files.paths[0].clone();
        let floor =
            Subject::floor("by hand: presence and loads", Mapped::new(&path), |mapped, n| {
                for _ in 0..n {
                    black_box(mapped.scan());
                }
            });
        group.add(floor.per(fields));
        let ours = Subject::ours("mmstats", (look(&path), files), |(observer, _), n| {
            for _ in 0..n {
                black_box(scan(observer));
            }
        });
        group.add(ours.per(fields).at_most(1.5, Base::Floor));
        #[cfg(feature = "iceoryx2")]
        if fields == 1_000 {
            group.add(crate::blackboard::read());
        }
    });
}

pub(crate) fn groups(contest: &mut Contest) {
    let many = contest.size(100_000, 1_000);
    open_and_read(contest, "open, read every field: per field of 1,000", 1_000);
    open_and_read(contest, "open, read every field: per field of 100,000", many);
    contest.group("open, find one field of 100,000 by its label", |group| {
        let all = "mmstats, every field";
        let (_, subject) = opening(many, one_file(many, false), |observer| {
            black_box(scan(observer));
        });
        group.add(subject.named(all));
        let label = format!("worker.{:06}", many - 7);
        let (_, one) = opening(many, one_file(many, false), move |observer| {
            let file = &observer.files()[0];
            let field = file.find(&label).expect("a field");
            black_box(file.value(field.index()));
        });
        group.add(one.at_most(1.0 / 20.0, Base::Row(all)));
    });
    let files = contest.size(1_000, 10);
    contest.group("1,000 files of 50 fields summed by name, cold", |group| {
        let published = many_files(files);
        let directory = published.directory.path().to_path_buf();
        group.add(Subject::floor(
            "by hand: mmap, checksums, names, values",
            directory,
            |path, n| {
                for _ in 0..n {
                    black_box(sum_by_hand(path));
                }
            },
        ));
        let ours = Subject::ours("mmstats", published, |files, n| {
            for _ in 0..n {
                sum_cold(files.directory.path());
            }
        });
        group.add(ours.at_most(1.3, Base::Floor));
    });
    contest.group("1,000 files of 50 fields summed by name, kept mapped", |group| {
        let published = many_files(files);
        let mapped: Vec<Mapped> = published.paths.iter().map(|path| Mapped::new(path)).collect();
        assert_eq!(sum_by_hand(published.directory.path()).len(), 50);
        group.add(Subject::floor("by hand: presence and loads", mapped, |mapped, n| {
            for _ in 0..n {
                let mut sums = [0_u64; 50];
                for file in mapped.iter() {
                    file.words(|index, value| {
                        if let Some(sum) = sums.get_mut(index) {
                            *sum = sum.wrapping_add(value);
                        }
                    });
                }
                black_box(sums);
            }
        }));
        let state = (look(published.directory.path()), Totals::new(), published);
        let ours = Subject::ours("mmstats", state, |(observer, totals, _), n| {
            for _ in 0..n {
                sum_kept(observer, totals);
            }
        });
        group.add(ours.at_most(3.0, Base::Floor));
    });
    scanning(contest, "scan kept mapped, per field of 1,000", 1_000);
    scanning(contest, "scan kept mapped, per field of 100,000", many);
    let million = contest.size(1_000_000, 1_000);
    scanning(contest, "scan kept mapped, per field of 1,000,000", million);
}
