//! Images by the writer, driven by arbitrary operations and read back.

use arbitrary::{Result, Unstructured};
use mmstats_core::Level;

use crate::limits::Limits;
use model::{Op, Spec, What, World};

/// The model of the core's property tests.
#[path = "../../core/tests/model/mod.rs"]
mod model;

/// Maximum number of operations of one input.
const OPERATIONS: usize = 200;

/// Executes the operations of the bytes on a writer and on a plain model, and compares them.
pub fn run(data: &[u8]) {
    thread_local!(static MEMORY: model::Memory = model::memory());
    let memory = MEMORY.with(|memory| *memory);
    // Strings of specifications can be longer than their input.
    Limits { memory: 4 << 20, ..Limits::TOOLS }.hold(data.len(), || {
        let mut u = Unstructured::new(data);
        let _ = operate(&mut u, memory);
    });
}

fn operate(u: &mut Unstructured<'_>, memory: model::Memory) -> Result<()> {
    let lanes = u.int_in_range(1..=4)?;
    let more = [u.int_in_range(0..=6)?, u.int_in_range(0..=600)?, u.int_in_range(0..=900)?];
    let planned = (0..u.int_in_range(0..=6)?).map(|_| op(u)).collect::<Result<Vec<_>>>()?;
    let Some(mut world) = World::new(memory, lanes, &planned, more) else { return Ok(()) };
    if u.arbitrary()? {
        world.act(&Op::GoLive);
    }
    for _ in 0..OPERATIONS {
        if u.is_empty() {
            break;
        }
        world.act(&op(u)?);
        if u.ratio(1, 4)? {
            world.look();
        }
    }
    world.act(&Op::GoLive);
    world.look();
    Ok(())
}

fn op(u: &mut Unstructured<'_>) -> Result<Op> {
    Ok(match u.int_in_range(0..=19)? {
        0..=3 => Op::Add(spec(u)?),
        4 => Op::Group((0..u.int_in_range(0..=4)?).map(|_| spec(u)).collect::<Result<_>>()?),
        5 => Op::Retire(u.int_in_range(0..=12)?),
        6 | 7 => Op::Claim,
        8 => Op::HandBack(u.int_in_range(0..=4)?),
        9 => Op::GoLive,
        10 => Op::Close,
        11 => Op::Refuse,
        12 if u.ratio(1, 8)? => Op::Die,
        _ => Op::Publish {
            lane: u.int_in_range(0..=4)?,
            field: u.int_in_range(0..=16)?,
            n: if u.arbitrary()? { u.arbitrary()? } else { u.int_in_range(0..=255)? },
        },
    })
}

fn spec(u: &mut Unstructured<'_>) -> Result<Spec> {
    Ok(Spec {
        what: *u.choose(What::ALL)?,
        label: text(u, 255)?,
        unit: text(u, 63)?,
        help: if u.arbitrary()? { text(u, 4096)? } else { String::new() },
        attributes: (0..u.int_in_range(0..=3)?)
            .map(|_| Ok((text(u, 63)?, text(u, 2048)?)))
            .collect::<Result<_>>()?,
        level: *u.choose(&[Level::Info, Level::Diagnostic, Level::Debug])?,
    })
}

/// A short plain text, one with any characters, or one near the limit of its length.
fn text(u: &mut Unstructured<'_>, longest: usize) -> Result<String> {
    Ok(match u.int_in_range(0..=9)? {
        0 => u.arbitrary::<&str>()?.to_owned(),
        1 => "\u{e4}".repeat(longest / 2 + u.int_in_range(0..=1)?),
        2 => "x".repeat(longest - 1 + u.int_in_range(0..=2)?),
        _ => {
            let letters = u.bytes(3.min(u.len()))?.iter();
            letters.map(|byte| char::from(b'a' + byte % 26)).chain(['k']).collect()
        }
    })
}
