//! Receivers of values.

use mmstats_core::read::{Scalar, Value, Verdict};

use crate::value::WindowRate;

/// Receives the values of a file, field by field: see the example of
/// [`File::visit`](crate::File::visit).
///
/// Fields are given by number, in no particular order; damaged and retired fields are left
/// out. A visitor is chosen once for a file, so the calls for its fields are static.
pub trait Visitor {
    /// The values that follow are those of this lane; `None` for constants and for format 1.
    fn lane(&mut self, lane: Option<u32>) {
        let _ = lane;
    }

    /// The value of a constant; by default passed on to [`value`](Self::value).
    fn constant(&mut self, field: u32, raw: Verdict<Value<'_>>) {
        self.value(field, raw);
    }

    /// An atomic scalar; by default passed on to [`value`](Self::value).
    #[inline]
    fn scalar(&mut self, field: u32, raw: Verdict<Scalar>) {
        self.value(field, raw.map(Value::from));
    }

    /// Any other value. The members of a group are from one publish.
    fn value(&mut self, field: u32, raw: Verdict<Value<'_>>);

    /// The rates of a rate field in the lane, after its value; they are computed when `rates`
    /// is called. By default they are not.
    fn rates(&mut self, field: u32, rates: &dyn Fn() -> Option<Vec<WindowRate>>) {
        let _ = (field, rates);
    }
}

/// Gives scalars to a function, and drops all other values.
pub(crate) struct ScalarFn<F>(pub(crate) F);

impl<F: FnMut(u32, Verdict<Scalar>)> Visitor for ScalarFn<F> {
    #[inline]
    fn scalar(&mut self, field: u32, raw: Verdict<Scalar>) {
        (self.0)(field, raw);
    }

    fn value(&mut self, _field: u32, _raw: Verdict<Value<'_>>) {}
}

/// Gives all values to a function.
pub(crate) struct ValueFn<F>(pub(crate) F);

impl<F: FnMut(u32, Verdict<Value<'_>>)> Visitor for ValueFn<F> {
    #[inline]
    fn value(&mut self, field: u32, raw: Verdict<Value<'_>>) {
        (self.0)(field, raw);
    }
}
