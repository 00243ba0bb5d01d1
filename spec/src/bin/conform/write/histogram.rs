//! Journal of a histogram after samples were recorded one by one: KINDS.md section 4.

use serde_json::{Value, json};

/// Samples from here on are not recorded: KINDS.md section 2.4.
const REFUSED: u64 = 1 << 60;

/// The samples of a description, and where they are counted.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    scale: i8,
    lowest: i16,
    count: usize,
    /// Those that are recorded.
    samples: Vec<u64>,
    /// Number of the others.
    pub(super) refused: u64,
}

impl Histogram {
    /// `scale` is at most 0.
    pub(super) fn new(scale: i8, lowest: i16, count: usize, all: &[u64]) -> Self {
        let samples: Vec<u64> = all.iter().copied().filter(|&sample| sample < REFUSED).collect();
        let refused = (all.len() - samples.len()) as u64;
        Self { scale, lowest, count, samples, refused }
    }

    /// Section 4.1: at scale 0 bucket b is above 2^b and at most 2^(b + 1).
    fn element(&self, sample: u64) -> usize {
        let Some(below) = sample.checked_sub(1) else { return 0 };
        let at_scale_0 = i64::from(64 - below.leading_zeros()) - 1;
        let bucket = at_scale_0 >> self.scale.unsigned_abs();
        let element = bucket - i64::from(self.lowest) + 1;
        usize::try_from(element).unwrap_or(0).min(self.count.saturating_sub(1))
    }

    /// Words 0 to 4 of the slot of each change: total, change, sum, minimum, maximum; and the elements after
    /// the last.
    pub(super) fn steps(&self) -> (Vec<[u64; 5]>, Vec<u64>) {
        let mut elements = vec![0_u64; self.count];
        let (mut sum, mut min, mut max) = (0, u64::MAX, 0);
        let mut steps = Vec::new();
        for (&sample, total) in self.samples.iter().zip(1..) {
            let index = self.element(sample);
            let Some(element) = elements.get_mut(index) else { continue };
            *element += 1;
            (sum, min, max) = (sum + sample, min.min(sample), max.max(sample));
            let change = index as u64 | *element << 16;
            steps.push([total, change, sum, min, max]);
        }
        (steps, elements)
    }

    /// Without the words from 2 on: their number is that of the writer's slots.
    pub(super) fn document(&self) -> Value {
        let elements: Vec<String> = self.steps().1.iter().map(u64::to_string).collect();
        json!({ "u64": elements, "total": self.samples.len().to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;
    use mmstats_core::Buckets;

    /// The same elements as those of the writer's library.
    #[test]
    fn element_is_that_of_buckets() {
        for (scale, lowest, count) in [(0, 0, 10), (0, 3, 40), (-1, 0, 30), (-2, 1, 5), (-4, 0, 3)]
        {
            let [low, high] = i16::to_le_bytes(lowest);
            let param = u32::from_le_bytes([i8::cast_unsigned(scale), 4, low, high]);
            let buckets = Buckets::from_param(param, u32::try_from(count).unwrap()).unwrap();
            let histogram = Histogram::new(scale, lowest, count, &[]);
            let powers = (0..60).map(|n| 1_u64 << n);
            for sample in powers.flat_map(|n| [n - 1, n, n + 1]) {
                let wanted = buckets.element_of_int(sample) as usize;
                assert_eq!(histogram.element(sample), wanted, "{sample} at scale {scale}");
            }
        }
    }
}
