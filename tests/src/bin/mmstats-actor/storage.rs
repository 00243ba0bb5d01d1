//! A publisher of one storage class, which stores the number of the last published value in a shared
//! word.

use std::path::Path;
use std::sync::atomic::Ordering;

use mmstats::{Array, Counter, FieldOptions, Lane, Publisher, Stats};
use mmstats_tests::storage::{Class, Handle, publish};
use mmstats_tests::word::SharedWord;

use crate::lines::{hear, say};
use crate::publish::{options, thread_id};

/// `CLASS WORD [OPTION...]`: publishes 1, 2, 3 and so on as fast as possible, and after each
/// stores its number in the file WORD.
pub(crate) fn run(directory: &Path, words: &[String]) {
    let [class, word, words @ ..] = words else { panic!("CLASS WORD") };
    let class = Class::named(class).expect("a class");
    let word = SharedWord::open(Path::new(word)).expect("a word");
    let (_publisher, mut handle) = publish(options(directory, words), class).expect("a publisher");
    say("ready");
    for n in 1.. {
        handle.publish(n);
        // Release: the word must not be seen before the value.
        word.get().store(n, Ordering::Release);
    }
}

/// `WORD WORD`: two threads publish 4 KiB each as fast as possible, each in its own lane.
pub(crate) fn pair(directory: &Path, words: &[String]) {
    #[derive(Debug, Stats)]
    struct Pair {
        value: Array<u64, 512>,
    }
    let open = |path: &String| SharedWord::open(Path::new(path)).expect("a word");
    let [first, second]: [&'static SharedWord; 2] =
        [&words[0], &words[1]].map(|path| &*Box::leak(Box::new(open(path))));
    let publisher: Publisher<Pair> = options(directory, &[]).start().expect("a publisher");
    let spin = |word: &'static SharedWord| {
        let stats = publisher.lane().expect("a lane");
        let mut handle = Handle::Latched4096(Box::new((stats.value, [0; 512])));
        move |n| {
            handle.publish(n);
            word.get().store(n, Ordering::Release);
        }
    };
    std::thread::scope(|scope| {
        // Lane 0 first.
        let mut publish_first = spin(first);
        let (own, spin) = (thread_id(), &spin);
        scope.spawn(move || {
            let mut publish_second = spin(second);
            say(format_args!("{own} {}", thread_id()));
            for n in 1.. {
                publish_second(n);
            }
        });
        for n in 1.. {
            publish_first(n);
        }
    });
}

/// `WORD`: adds fields, each with its number as value, and retires every third; stores the number of
/// the last one in the file WORD.
pub(crate) fn adding(directory: &Path, words: &[String]) {
    let [word] = words else { panic!("WORD") };
    let word = SharedWord::open(Path::new(word)).expect("a word");
    let publisher: Publisher<Lane> = options(directory, &[]).start().expect("a publisher");
    let lane = publisher.lane().expect("a lane");
    say("ready");
    // Enough for seconds, within the room of the file.
    for n in 1..100_000 {
        let label = format!("field.{n}");
        let key = publisher.add::<Counter>(label, FieldOptions::new()).expect("a field");
        lane.attach(key).expect("a handle").set(n);
        if n % 3 == 0 {
            publisher.retire(key).expect("a field");
        }
        word.get().store(n, Ordering::Release);
    }
    while hear().is_some() {}
}
