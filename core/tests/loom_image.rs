//! Presence bits, the state of the image, counts and lanes, under loom.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p mmstats-core --release --test loom_image`
//!
//! Runs the functions of `protocol` on loom's atomics. Each of their [`Site`]s has a mutant that
//! must fail.
#![cfg(loom)]

mod loom_support;

use loom::sync::Arc;
use loom_support::{Mutant, Word, explore};
use mmstats_core::layout::{field_state, image_state, lane_state};
use mmstats_core::protocol::{
    Bound, ReadWord, Site, WriteWord, begin_reuse, claim_lane, clear_presence,
    clear_shared_presence, end_reuse, follow_reuse, hand_back_lane, load_count, load_lane_state,
    load_lanes_used, load_parts, load_presence, load_reuses, load_state, publish_count, retire,
    retired, reused_since, revive, set_parts, set_presence, set_shared_presence, set_state,
};

/// The words of a small image: two lanes with a presence word and two cells each, two fields.
struct Image {
    state: Word,
    field_count: Word,
    heap_used: Word,
    /// Content and state of a descriptor.
    descriptors: [[Word; 2]; 2],
    lanes_used: Word,
    lanes: [Lane; 2],
    parts: Word,
    /// Whether the second image of the instance has its name.
    name: Word,
    reuses: Word,
}

struct Lane {
    state: Word,
    owners: Word,
    presence: Word,
    cells: [Word; 2],
}

/// Content of a complete descriptor.
const DESCRIBED: u32 = 77;

impl Image {
    /// A live image with one field and a claimed lane.
    fn new(mutant: Mutant) -> Arc<Self> {
        let word = |value| Word::new(value, mutant);
        let lane = |state| Lane {
            state: word(state),
            owners: word(state),
            presence: word(0),
            cells: [word(0), word(0)],
        };
        Arc::new(Self {
            state: word(image_state::LIVE),
            field_count: word(1),
            heap_used: word(8),
            descriptors: [[word(DESCRIBED), word(field_state::LIVE)], [word(0), word(0)]],
            lanes_used: word(1),
            lanes: [lane(lane_state::OWNED), lane(lane_state::UNUSED)],
            parts: word(1),
            name: word(0),
            reuses: word(0),
        })
    }

    fn set(&self, lane: usize, field: usize, value: u32) {
        (&&self.lanes[lane].cells[field]).store(value);
        set_presence(&&self.lanes[lane].presence, 1 << field);
    }

    fn clear(&self, lane: usize, field: usize) {
        clear_presence(&&self.lanes[lane].presence, 1 << field);
    }

    fn get(&self, lane: usize, field: usize) -> Option<u32> {
        let bits = load_presence(&self.lanes[lane].presence);
        (bits >> field & 1 != 0).then(|| ReadWord::load(&self.lanes[lane].cells[field]))
    }

    /// Adds field 1: its descriptor, its strings, then the count.
    fn add(&self) {
        let [described, state] = &self.descriptors[1];
        (&described).store(DESCRIBED);
        (&state).store(field_state::LIVE);
        publish_count(&&self.heap_used, 16, &&self.field_count, 2);
    }

    /// Reads all published fields, whose descriptors must be complete.
    fn fields(&self) -> u32 {
        let count = load_count(&self.field_count);
        let heap = ReadWord::load(&self.heap_used);
        assert!(heap >= count * 8, "broken: {count} fields, and {heap} bytes of heap");
        for [described, _] in &self.descriptors[..count as usize] {
            assert_eq!(ReadWord::load(described), DESCRIBED, "broken: a descriptor");
        }
        count
    }

    fn claim(&self, lane: usize, used: Option<u32>) {
        let Lane { state, owners, .. } = &self.lanes[lane];
        let lanes_used = &self.lanes_used;
        claim_lane(&owners, &state, used.as_ref().map(|used| (&lanes_used, *used)));
    }

    fn hand_back(&self, lane: usize) {
        let Lane { state, presence, .. } = &self.lanes[lane];
        hand_back_lane([presence].into_iter(), &state);
    }
}

/// A writer and a reader of one image.
fn beside(
    mutant: Mutant,
    write: impl Fn(&Image) + Send + Sync + 'static,
    read: impl Fn(&Image) + Send + Sync + 'static,
) {
    let (write, read) = (std::sync::Arc::new(write), std::sync::Arc::new(read));
    explore(3, move || {
        let image = Image::new(mutant);
        let writer = {
            let (image, write) = (Arc::clone(&image), std::sync::Arc::clone(&write));
            loom::thread::spawn(move || write(&image))
        };
        read(&image);
        writer.join().unwrap();
        read(&image);
    });
}

/// The first value of a field: a reader that sees the bit sees the value.
fn first_publish(mutant: Mutant) {
    beside(
        mutant,
        |image| {
            image.set(0, 0, 5);
            image.set(0, 0, 6);
        },
        |image| {
            let value = image.get(0, 0);
            assert!(matches!(value, None | Some(5 | 6)), "broken: {value:?} was never set");
        },
    );
}

/// A field is cleared; another one with its bit in the same word keeps its value.
fn clear(mutant: Mutant) {
    beside(
        mutant,
        |image| {
            image.set(0, 1, 3);
            image.set(0, 0, 5);
            image.clear(0, 1);
            image.set(0, 1, 4);
        },
        |image| {
            let values = [0, 1].map(|field| image.get(0, field));
            let [first, second] = values;
            assert!(matches!(first, None | Some(5)), "broken: {values:?}");
            assert!(matches!(second, None | Some(3 | 4)), "broken: {values:?}");
        },
    );
}

/// Two threads set fields in a lane shared by all threads.
fn shared(mutant: Mutant) {
    explore(2, move || {
        let image = Image::new(mutant);
        let writers = [0, 1].map(|field| {
            let image = Arc::clone(&image);
            loom::thread::spawn(move || {
                let lane = &image.lanes[1];
                (&&lane.cells[field]).store(5);
                set_shared_presence(&&lane.presence, 1 << field);
            })
        });
        for field in [0, 1] {
            let value = image.get(1, field);
            assert!(matches!(value, None | Some(5)), "broken: {value:?} was never set");
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!([0, 1].map(|field| image.get(1, field)), [Some(5); 2], "broken: a bit is lost");
    });
}

/// One thread removes the value of a field in a lane shared by all threads, while another sets one.
fn shared_clear(mutant: Mutant) {
    explore(2, move || {
        let image = Image::new(mutant);
        let [first, second] = [0, 1].map(|_| Arc::clone(&image));
        let sets = loom::thread::spawn(move || {
            let lane = &first.lanes[1];
            (&&lane.cells[1]).store(5);
            set_shared_presence(&&lane.presence, 1 << 1);
        });
        let clears = loom::thread::spawn(move || {
            let lane = &second.lanes[1];
            (&&lane.cells[0]).store(5);
            set_shared_presence(&&lane.presence, 1);
            clear_shared_presence(&&lane.presence, 1);
        });
        for field in [0, 1] {
            let value = image.get(1, field);
            assert!(matches!(value, None | Some(5)), "broken: {value:?} was never set");
        }
        [sets, clears].into_iter().for_each(|writer| writer.join().unwrap());
        let left = [0, 1].map(|field| image.get(1, field));
        assert_eq!(left, [None, Some(5)], "broken: a bit is lost");
    });
}

/// A live image has its first fields.
fn go_live(mutant: Mutant) {
    beside(
        mutant,
        |image| {
            image.add();
            // A new image: the reader has not loaded anything before.
            set_state(&&image.state, image_state::LIVE + 10);
        },
        |image| {
            if load_state(&image.state) == image_state::LIVE + 10 {
                assert_eq!(image.fields(), 2, "broken: live without its fields");
            }
        },
    );
}

/// Values of a closed image are final, also those of another thread.
fn close(mutant: Mutant) {
    explore(3, move || {
        let image = Image::new(mutant);
        let writers = {
            let image = Arc::clone(&image);
            loom::thread::spawn(move || {
                let thread = {
                    let image = Arc::clone(&image);
                    loom::thread::spawn(move || (&&image.lanes[0].cells[1]).store(8))
                };
                (&&image.lanes[0].cells[0]).store(9);
                thread.join().unwrap();
                set_state(&&image.state, image_state::CLOSED);
            })
        };
        if load_state(&image.state) == image_state::CLOSED {
            let values = [0, 1].map(|cell| ReadWord::load(&image.lanes[0].cells[cell]));
            assert_eq!(values, [9, 8], "broken: not the last values");
        }
        writers.join().unwrap();
    });
}

/// A field is added while the image is read.
fn add(mutant: Mutant) {
    beside(mutant, Image::add, |image| {
        image.fields();
    });
}

/// Field 1 replaces field 0: a reader sees at least one of them.
fn replace(mutant: Mutant) {
    beside(
        mutant,
        |image| {
            image.add();
            retire(&&image.descriptors[0][1]);
        },
        |image| {
            if retired(&image.descriptors[0][1]) {
                assert_eq!(image.fields(), 2, "broken: retired, and nothing took its place");
            }
        },
    );
}

/// The instance gets a second image.
fn part(mutant: Mutant) {
    beside(
        mutant,
        |image| {
            (&&image.name).store(1);
            set_parts(&&image.parts, 2);
        },
        |image| {
            if load_parts(&image.parts) == 2 {
                assert_eq!(ReadWord::load(&image.name), 1, "broken: an image without its name");
            }
        },
    );
}

/// Label of the field that gets the room of another one.
const OTHER: u32 = 78;

/// Field 0 of lane 0 is retired, and another field gets its room. A handle in another thread sets
/// its value to 6; with `stale` a handle of the old field sets 7 after that.
fn reuse(image: &Arc<Image>, stale: bool) {
    let [described, state] = &image.descriptors[0];
    let (cell, reuses) = (&image.lanes[0].cells[0], &image.reuses);
    retire(&state);
    begin_reuse(&reuses);
    (&described).store(OTHER);
    (&cell).store(0);
    end_reuse(&reuses);
    revive(&state);
    let image = Arc::clone(image);
    let handle = loom::thread::spawn(move || {
        let cell = &image.lanes[0].cells[0];
        follow_reuse(&cell);
        (&cell).store(6);
        if stale {
            (&cell).store(7);
        }
    });
    handle.join().unwrap();
}

/// [`reuse`] beside a reader.
fn beside_reuse(mutant: Mutant, stale: bool, read: impl Fn(&Image) + Send + Sync + 'static) {
    explore(3, move || {
        let image = Image::new(mutant);
        (&&image.lanes[0].cells[0]).store(5);
        let writer = {
            let image = Arc::clone(&image);
            loom::thread::spawn(move || reuse(&image, stale))
        };
        read(&image);
        writer.join().unwrap();
        read(&image);
    });
}

/// A reader with the descriptor that it decoded before the reuse.
fn cached_descriptor(mutant: Mutant) {
    beside_reuse(mutant, false, |image| {
        let value = ReadWord::load(&image.lanes[0].cells[0]);
        if !reused_since(&image.reuses, 0) {
            assert_eq!(value, 5, "broken: a value of another label");
        }
    });
}

/// A reader that decodes the descriptor, then reads the value.
fn decoded_descriptor(mutant: Mutant, stale: bool) {
    beside_reuse(mutant, stale, |image| {
        let before = load_reuses(&image.reuses);
        let [described, state] = &image.descriptors[0];
        let live = ReadWord::load(state) == field_state::LIVE;
        let label = ReadWord::load(described);
        let value = ReadWord::load(&image.lanes[0].cells[0]);
        if live && !reused_since(&image.reuses, before) {
            let good = matches!((label, value), (DESCRIBED, 5) | (OTHER, 0 | 6));
            assert!(good, "broken: the value {value} under the label {label}");
        }
    });
}

fn decoded(mutant: Mutant) {
    decoded_descriptor(mutant, false);
}

/// A new lane is claimed and used.
fn claim(mutant: Mutant) {
    beside(
        mutant,
        |image| {
            image.claim(1, Some(2));
            image.set(1, 0, 5);
        },
        |image| {
            let used = load_lanes_used(&image.lanes_used) as usize;
            // The newest first: reading another one includes a fence.
            for lane in image.lanes[..used].iter().rev() {
                let state = load_lane_state(&lane.state);
                assert_eq!(state, lane_state::OWNED, "broken: a counted lane is unused");
                assert_ne!(ReadWord::load(&lane.owners), 0, "broken: a lane never claimed");
            }
        },
    );
}

/// A lane that was handed back is claimed again.
fn claim_again(mutant: Mutant) {
    explore(3, move || {
        let image = Image::new(mutant);
        image.hand_back(0);
        let writer = {
            let image = Arc::clone(&image);
            loom::thread::spawn(move || image.claim(0, None))
        };
        let lane = &image.lanes[0];
        if load_lane_state(&lane.state) == lane_state::OWNED {
            assert_eq!(ReadWord::load(&lane.owners), 2, "broken: not claimed again");
        }
        writer.join().unwrap();
    });
}

/// A lane is handed back and claimed again: values of its last owner are absent, counters stay.
fn hand_on(mutant: Mutant) {
    beside(
        mutant,
        |image| {
            image.set(0, 0, 5);
            (&&image.lanes[0].cells[1]).store(3);
            image.hand_back(0);
            // The next owner.
            image.claim(0, None);
            (&&image.lanes[0].cells[1]).store(4);
            image.set(0, 0, 6);
        },
        |image| {
            let lane = &image.lanes[0];
            if load_lane_state(&lane.state) == lane_state::FREE {
                let gauge = image.get(0, 0);
                assert!(matches!(gauge, None | Some(6)), "broken: {gauge:?} of the last owner");
                let counter = ReadWord::load(&lane.cells[1]);
                assert!(matches!(counter, 3 | 4), "broken: the counter fell back to {counter}");
            }
        },
    );
}

/// Writers that die after each of their stores, and a reader afterwards.
fn death(stores: u32) {
    explore(3, move || {
        let image = Image::new(Mutant::None);
        let writer = {
            let image = Arc::clone(&image);
            loom::thread::spawn(move || {
                let [described, state] = &image.descriptors[1];
                let all: [&dyn Fn(); 4] = [
                    &|| (&described).store(DESCRIBED),
                    &|| (&state).store(field_state::LIVE),
                    &|| (&&image.heap_used).store(16),
                    &|| image.add(),
                ];
                all[..stores as usize].iter().for_each(|store| store());
            })
        };
        image.fields();
        writer.join().unwrap();
        assert_eq!(image.fields(), 1 + stores / 4, "broken: the count");
    });
}

#[test]
fn presence_set_and_cleared() {
    first_publish(Mutant::None);
    clear(Mutant::None);
    shared(Mutant::None);
    shared_clear(Mutant::None);
}

#[test]
fn image_state_building_to_closed() {
    go_live(Mutant::None);
    close(Mutant::None);
}

#[test]
fn fields_added_and_replaced() {
    add(Mutant::None);
    replace(Mutant::None);
    (0..=4).for_each(death);
}

#[test]
fn room_used_again() {
    cached_descriptor(Mutant::None);
    decoded(Mutant::None);
}

/// A handle that is left when its room is given away: the rule that there is none is needed.
#[test]
#[should_panic(expected = "broken")]
fn room_used_again_under_a_stale_handle() {
    decoded_descriptor(Mutant::None, true);
}

#[test]
fn parts_counted() {
    part(Mutant::None);
}

#[test]
fn lanes_claimed_and_handed_back() {
    claim(Mutant::None);
    claim_again(Mutant::None);
    hand_on(Mutant::None);
}

mutants! {
    expected = "broken";
    sites [Site::IMAGE] {
        without_release_on_the_first_bit: WriterPresence, first_publish;
        without_release_on_a_shared_bit: WriterPresence, shared;
        without_release_on_a_cleared_bit: WriterAbsence, clear;
        without_the_fence_after_presence: ReaderPresence, first_publish;
        without_release_on_live: WriterState, go_live;
        without_release_on_closed: WriterState, close;
        without_the_fence_after_live: ReaderState, go_live;
        without_the_fence_after_closed: ReaderState, close;
        without_release_on_the_count: WriterCount, add;
        without_the_fence_after_the_count: ReaderCount, add;
        without_release_on_retired: WriterRetire, replace;
        without_the_fence_after_retired: ReaderRetired, replace;
        without_release_on_owned: WriterLane, claim_again;
        without_release_on_handed_back: WriterLane, hand_on;
        without_the_fence_after_owned: ReaderLane, claim_again;
        without_the_fence_after_handed_back: ReaderLane, hand_on;
        without_release_on_lanes_used: WriterLanes, claim;
        without_the_fence_after_lanes_used: ReaderLanes, claim;
        without_release_on_the_begin_of_a_reuse: WriterReuse, decoded;
        without_the_fence_before_a_rewrite: WriterRewrite, cached_descriptor;
        without_release_on_the_end_of_a_reuse: WriterReused, decoded;
        without_release_on_live_again: WriterRevive, decoded;
        without_the_fence_before_an_attach: WriterAttach, cached_descriptor;
        without_the_fence_after_reuses: ReaderReuses, decoded;
        without_the_fence_before_reuses: ReaderReused, cached_descriptor;
        without_release_on_parts: WriterParts, part;
        without_the_fence_after_parts: ReaderParts, part;
    }
    bounds [] {}
}
