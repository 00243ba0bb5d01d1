//! Visitors: constants, lanes and rates in their order.

mod support;

use mmstats_core::{Constant, FieldSpec, Rate};
use mmstats_observe::{RawValue, RawVerdict, Scratch, Visitor, WindowRate};
use support::{Setup, id, observe, only, publish};

/// Calls, in their order.
#[derive(Debug, PartialEq)]
enum Call {
    Lane(Option<u32>),
    Constant(u32),
    Number(u32, u64),
    Value(u32),
    Rates(u32, bool),
}

#[derive(Default)]
struct Calls(Vec<Call>);

impl Visitor for Calls {
    fn lane(&mut self, lane: Option<u32>) {
        self.0.push(Call::Lane(lane));
    }

    fn constant(&mut self, field: u32, _raw: RawVerdict<RawValue<'_>>) {
        self.0.push(Call::Constant(field));
    }

    fn value(&mut self, field: u32, raw: RawVerdict<RawValue<'_>>) {
        self.0.push(match raw.consistent() {
            Some(RawValue::U64(n)) => Call::Number(field, n),
            _ => Call::Value(field),
        });
    }

    fn rates(&mut self, field: u32, rates: &dyn Fn() -> Option<Vec<WindowRate>>) {
        self.0.push(Call::Rates(field, rates().is_some()));
    }
}

#[test]
fn visit_gives_constants_then_values_and_rates_of_each_lane() {
    let directory = tempfile::tempdir().unwrap();
    // Room for 128 checkpoints.
    let setup = Setup { room: 40, ..Setup::default() };
    let command = FieldSpec::info("sys.command", Constant::Text("web"));
    let rate = [FieldSpec::counter("hits"), FieldSpec::rate("rate", 1000, &["1"])];
    let add = |writer: &mut mmstats_core::Writer<_>| {
        writer.add_all(&rate).unwrap();
    };
    let mut published = publish(directory.path(), "a.mmst", setup, add, &[command]);
    for n in [3, 4] {
        Rate::attach(&published.lane(), id(1)).unwrap().add(n, 1_000_000_000);
    }
    let observer = observe(directory.path());
    let file = only(&observer);
    let mut calls = Calls::default();
    assert!(file.visit(&mut Scratch::new(), &mut calls));
    let lane = |lane, n| {
        [Call::Lane(Some(lane)), Call::Number(1, n), Call::Value(2), Call::Rates(2, true)]
    };
    let constants = [Call::Lane(None), Call::Constant(0)];
    let wanted: Vec<_> = constants.into_iter().chain(lane(0, 3)).chain(lane(1, 4)).collect();
    assert_eq!(calls.0, wanted);
    calls.0.clear();
    assert!(file.visit_lanes(1..2, &mut Scratch::new(), &mut calls));
    assert_eq!(calls.0, lane(1, 4));
}
