//! Bounds of buckets and of their ranges: KINDS.md section 4.

use mmstats_core::{Buckets, DataType};

/// Any buckets that a descriptor can have.
fn of(scale: i8, lowest: i16, elements: u32) -> Buckets {
    let [low, high] = lowest.to_le_bytes();
    let param = [scale.cast_unsigned(), DataType::F64.code(), low, high];
    Buckets::from_param(u32::from_le_bytes(param), elements).unwrap()
}

/// The upper bound of a bucket is the largest integer that it counts.
#[test]
fn bound_is_largest_integer_of_bucket() {
    let buckets = Buckets::integers(0.0054, 1 << 63, u64::MAX);
    assert_eq!((buckets.scale(), buckets.elements()), (6, 3 + 64));
    for element in 1..buckets.elements() - 1 {
        let (mut low, mut high) = (1 << 62, u64::MAX);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if buckets.element_of_int(middle) <= element {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        #[allow(clippy::cast_precision_loss)] // As the bound is rounded.
        let largest = low as f64;
        assert_eq!(buckets.bounds(element).1.to_bits(), largest.to_bits(), "element {element}");
        assert_eq!(buckets.bounds(element + 1).0.to_bits(), largest.to_bits());
    }
}

#[test]
fn bounds_outside_range_are_open() {
    let buckets = Buckets::integers(0.2, 4, 64);
    assert_eq!(buckets.bounds(0), (0.0, buckets.bounds(1).0));
    let last = buckets.elements() - 1;
    assert_eq!(buckets.bounds(last), (64.0, f64::INFINITY));
    assert_eq!(buckets.bounds(last - 1).1.to_bits(), 64.0_f64.to_bits());
    assert_eq!(buckets.bounds(last + 1), buckets.bounds(last));
}

#[test]
fn element_of_zero_is_below_range() {
    for buckets in [of(1, i16::MIN, 50_000), of(-4, i16::MIN, 65_535), of(6, 0, 3)] {
        for value in [0.0, -0.0, -1.0, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(buckets.element_of_float(value), 0, "{value}");
        }
        assert_eq!(buckets.element_of_int(0), 0);
    }
    assert!(of(1, i16::MIN, 50_000).element_of_float(f64::from_bits(1)) > 0);
}

#[test]
fn empty_range_holds_low_end() {
    assert_eq!(Buckets::integers(0.1, 9, 3), Buckets::integers(0.1, 9, 9));
    assert_eq!(Buckets::integers(0.1, 0, 0), Buckets::integers(0.1, 1, 1));
    assert_eq!(Buckets::floats(0.1, 9.0, 3.0), Buckets::floats(0.1, 9.0, 9.0));
    assert_eq!(Buckets::integers(0.1, 9, 9).elements(), 3);
}

#[test]
fn bound_past_f64_is_infinite_or_zero() {
    for scale in -4..=8 {
        let buckets = of(scale, 0, 3);
        for near in [0, 1, 2, 3] {
            assert_eq!(buckets.bound(i32::MAX - near), f64::INFINITY, "{scale}");
            assert_eq!(buckets.bound(i32::MIN + near), 0.0, "{scale}");
        }
    }
}
