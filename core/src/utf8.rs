//! Character boundaries.

/// The largest character boundary of `text` that is at most `most`, in bytes; the length of `text` if
/// it is shorter. As `str::floor_char_boundary`, which needs Rust 1.91.
///
/// # Examples
///
/// ```
/// use mmstats_core::floor_char_boundary;
///
/// assert_eq!(floor_char_boundary("5 °C", 3), "5 ".len());
/// assert_eq!(floor_char_boundary("5 °C", 100), "5 °C".len());
/// ```
#[inline]
#[must_use]
pub fn floor_char_boundary(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1; // At most three times: 0 is a boundary.
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_char_boundary_is_the_last_one_that_fits() {
        let text = "aü€😀b";
        let ends = [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11];
        for (most, end) in ends.into_iter().enumerate() {
            assert_eq!(floor_char_boundary(text, most), end, "{most}");
        }
        assert_eq!(floor_char_boundary(text, usize::MAX), text.len());
        assert_eq!(floor_char_boundary("", 3), 0);
    }
}
