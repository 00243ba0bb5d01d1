//! The blackboard of iceoryx2: values in shared memory by key.

use iceoryx2::port::reader::{EntryHandle, Reader};
use iceoryx2::port::writer::{EntryHandleMut, Writer};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::blackboard::PortFactory;
use mmstats_benches::Subject;

const KEYS: u64 = 1_000;
type Service = ipc::Service;

struct Board {
    writer: Writer<Service, u64>,
    reader: Reader<Service, u64>,
    _service: PortFactory<Service, u64>,
    _node: Node<Service>,
}

fn board(name: &str) -> Board {
    let node = NodeBuilder::new().create::<Service>().expect("a node");
    let name = format!("mmstats/peers/{name}/{}", std::process::id());
    let name = name.as_str().try_into().expect("a name");
    let creator = node.service_builder(&name).blackboard_creator::<u64>();
    let creator = (0..KEYS).fold(creator, |creator, key| creator.add::<u64>(key, key));
    let service = creator.create().expect("a blackboard");
    let writer = service.writer_builder().create().expect("a writer");
    let reader = service.reader_builder().create().expect("a reader");
    Board { writer, reader, _service: service, _node: node }
}

#[inline(never)]
fn update(entry: &EntryHandleMut<Service, u64, u64>, n: u64) {
    (0..n).for_each(|i| entry.update_with_copy(i));
}

#[inline(never)]
fn sum(entries: &[EntryHandle<Service, u64, u64>]) -> u64 {
    entries.iter().fold(0, |sum, entry| sum.wrapping_add(*entry.get()))
}

/// Updates of one value.
pub(crate) fn write() -> Subject {
    let board = board("write");
    let entry = board.writer.entry::<u64>(&0).expect("an entry");
    Subject::peer("iceoryx2, blackboard", (entry, board), |(entry, _), n| update(entry, n))
}

/// Reads of all values.
pub(crate) fn read() -> Subject {
    let board = board("read");
    let entries: Vec<_> =
        (0..KEYS).map(|key| board.reader.entry::<u64>(&key).expect("an entry")).collect();
    let subject = Subject::peer("iceoryx2, blackboard", (entries, board), |(entries, _), n| {
        for _ in 0..n {
            std::hint::black_box(sum(entries));
        }
    });
    subject.per(1_000)
}
