//! A real file that is changed and truncated while it is mapped.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use mmstats_observe::{Observer, Sources};

use crate::changing::Change;
use crate::limits::Limits;
use crate::observed::walk;
use crate::{mutate, place};

/// Walks the file after each few changes, before and after the observer looks again.
///
/// # Panics
///
/// If the file cannot be written.
pub fn run(data: &[u8]) {
    place::clear();
    let (image, schedule) = mutate::split(data);
    let mut bytes = image.to_vec();
    mutate::seal(&mut bytes);
    let path = place::put("a.mmst", &bytes);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let usual = [0, 1, 0, 1, 0, 0, 0, 0, 0, 7, 255, 255, 255, 0, 0, 0];
    let schedule = if schedule.len() < 8 { &usual } else { schedule };
    let mut observer = Observer::new(Sources::new().path(&path));
    Limits::TOOLS.hold(4 * data.len(), || {
        observer.refresh();
        walk_quietly(&observer);
        let mut size = bytes.len();
        for change in Change::all(schedule, size).into_iter().take(12) {
            let now = change.make(&mut bytes, size);
            if now < size {
                size = now;
                file.set_len(size as u64).unwrap();
            } else if (change.at as usize) + 4 <= size {
                let at = change.at as usize;
                file.write_all_at(&bytes[at..at + 4], at as u64).unwrap();
            }
            if change.after.is_multiple_of(2) {
                walk_quietly(&observer);
            }
            if change.after.is_multiple_of(3) {
                observer.refresh();
            }
        }
        observer.refresh();
        walk_quietly(&observer);
    });
}

fn walk_quietly(observer: &Observer) {
    walk(observer);
}
