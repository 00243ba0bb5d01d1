//! Arbitrary schemas, values and operations, compared with a plain model.

mod model;

use model::{Op, Spec, What, World};
use proptest::prelude::*;
use proptest::sample::select;

use mmstats_core::Level;

fn what() -> impl Strategy<Value = What> {
    select(What::ALL)
}

/// Mostly strings that keep the rules, sometimes one that does not.
fn text(longest: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z.]{1,12}",
        4 => "\\PC{0,20}",
        1 => Just(String::new()),
        1 => (longest - 1..=longest + 1).prop_map(|n| "x".repeat(n)),
        1 => (longest / 2..=longest / 2 + 1).prop_map(|n| "\u{e4}".repeat(n)),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<(String, String)>> {
    let key = prop_oneof![6 => "[a-zA-Z0-9_.-]{1,4}", 1 => "\\PC{0,3}", 1 => "k{62,64}"];
    let value = prop_oneof![6 => "\\PC{0,9}", 1 => ".{0,3}", 1 => "v{2000,2100}"];
    prop_oneof![
        4 => Just(Vec::new()),
        4 => proptest::collection::vec((key, value), 1..4),
        1 => (1..13_usize).prop_map(|n| (0..n).map(|i| (format!("k{i}"), String::new())).collect()),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let level = select(&[Level::Info, Level::Diagnostic, Level::Debug][..]);
    // Labels are rarely empty, so that most fields are valid.
    let label = prop_oneof![10 => "[a-z.]{1,12}", 1 => text(255)];
    (what(), label, text(63), text(4096), attributes(), level).prop_map(
        |(what, label, unit, help, attributes, level)| {
            let unit = if unit.len() > 40 { unit } else { unit.chars().take(9).collect() };
            Spec { what, label, unit, help, attributes, level }
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => spec().prop_map(Op::Add),
        2 => proptest::collection::vec(spec(), 0..4).prop_map(Op::Group),
        1 => (0..12_u32).prop_map(Op::Retire),
        4 => Just(Op::Claim),
        2 => (0..4_u32).prop_map(Op::HandBack),
        20 => (0..4_u32, 0..16_u32, number())
            .prop_map(|(lane, field, n)| Op::Publish { lane, field, n }),
        2 => Just(Op::GoLive),
        1 => Just(Op::Close),
        1 => Just(Op::Refuse),
        1 => Just(Op::Die),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..200_u64, Just(u64::MAX), Just(1 << 63)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// After each operation the reader's result equals the model.
    #[test]
    fn operations_against_the_model(
        lanes in 1..4_u32,
        planned in proptest::collection::vec(op(), 0..8),
        more in [0..6_u32, 0..600_u32, 0..900_u32],
        ops in proptest::collection::vec(op(), 0..40),
    ) {
        thread_local!(static MEMORY: model::Memory = model::memory());
        let memory = MEMORY.with(|memory| *memory);
        let Some(mut world) = World::new(memory, lanes, &planned, more) else { return Ok(()) };
        world.act(&Op::GoLive);
        world.look();
        for op in &ops {
            world.act(op);
            world.look();
        }
    }

    /// One field of each kind, with arbitrary values in two lanes.
    #[test]
    fn every_kind_to_bytes_and_back(
        values in proptest::collection::vec((0..2_u32, 0..24_u32, number()), 1..200),
    ) {
        thread_local!(static MEMORY: model::Memory = model::memory());
        let spec = |what| Op::Add(Spec {
            what,
            label: format!("{what:?}"),
            unit: String::new(),
            help: "Help.".to_owned(),
            attributes: Vec::new(),
            level: Level::Info,
        });
        let all: Vec<Op> = What::ALL.iter().map(|what| spec(*what)).collect();
        let memory = MEMORY.with(|memory| *memory);
        let mut world = World::new(memory, 2, &all, [0; 3]).unwrap();
        [Op::GoLive, Op::Claim, Op::Claim].iter().for_each(|op| world.act(op));
        for (lane, field, n) in values {
            world.act(&Op::Publish { lane, field, n });
        }
        world.look();
    }
}
