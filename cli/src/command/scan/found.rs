//! The images that were found: which are extracted, and which are shown.

use std::collections::HashMap;
use std::path::PathBuf;

/// Bytes of overlapping images that are extracted from a file of any size.
pub(super) const SPARE: u64 = 64 << 20;

/// An image inside the file.
pub(super) struct Located {
    /// Offset in the file, in bytes.
    pub(super) at: u64,
    /// In bytes, by the header: the room behind the lanes may be claimed only.
    pub(super) length: u64,
    /// Header, metadata and lanes, in bytes.
    pub(super) extent: u64,
    /// Instance and part.
    pub(super) program: ([u8; 16], u32),
    /// Whether all of its fields are undamaged.
    pub(super) is_good: bool,
    pub(super) summary: String,
}

impl Located {
    fn contains(&self, other: &Self) -> bool {
        (self.at..self.at + self.length).contains(&other.at)
    }

    /// Whether this image is shown and not an `earlier` one of the same part: an undamaged one
    /// instead of a damaged one, an inner one instead of that around it, else the larger.
    fn displaces(&self, earlier: &Self) -> bool {
        if self.is_good != earlier.is_good {
            return self.is_good;
        }
        earlier.contains(self) || self.length > earlier.length
    }
}

/// Whether an image is extracted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taking {
    Taken,
    /// A damaged image of a part of which an undamaged one was extracted.
    Remnant,
    /// The budget of images that may overlap is used up.
    LeftOut,
}

/// The images that were found, which are added by ascending offset.
#[derive(Default)]
pub(super) struct Found {
    paths: Vec<PathBuf>,
    /// End of the undamaged images that were extracted: one that begins behind it overlaps none.
    end: u64,
    /// Size of those that overlap others or may do so, in bytes.
    overlapping: u64,
    /// The image of each program and part that is shown, and its place.
    programs: HashMap<([u8; 16], u32), (Located, usize)>,
}

impl Found {
    /// Whether the image is extracted. Undamaged images that overlap no earlier ones take no more
    /// bytes than the searched file of `size` bytes has. Any header may claim the bytes of others, so
    /// all the others together may take as many again, and [`SPARE`].
    pub(super) fn takes(&mut self, image: &Located, size: u64) -> Taking {
        if image.is_good && image.at >= self.end {
            self.end = image.at + image.extent;
            return Taking::Taken;
        }
        if !image.is_good && self.programs.get(&image.program).is_some_and(|(one, _)| one.is_good) {
            return Taking::Remnant;
        }
        let taken = self.overlapping.saturating_add(image.extent);
        if taken > size.saturating_add(SPARE) {
            return Taking::LeftOut;
        }
        self.overlapping = taken;
        if image.is_good {
            self.end = self.end.max(image.at + image.extent);
        }
        Taking::Taken
    }

    pub(super) fn add(&mut self, image: Located, path: PathBuf) {
        let place = self.paths.len();
        self.paths.push(path);
        match self.programs.get_mut(&image.program) {
            Some(shown) if image.displaces(&shown.0) => *shown = (image, place),
            Some(_) => {}
            None => _ = self.programs.insert(image.program, (image, place)),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// One image of each program and part: memory may have several states of it.
    pub(super) fn shown(self) -> Vec<PathBuf> {
        let mut places: Vec<usize> = self.programs.into_values().map(|(_, place)| place).collect();
        places.sort_unstable();
        let mut paths: Vec<Option<PathBuf>> = self.paths.into_iter().map(Some).collect();
        places.into_iter().filter_map(|place| paths.get_mut(place)?.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(number: u8, at: u64, length: u64, is_good: bool) -> Located {
        let (program, summary) = (([number; 16], 0), String::new());
        Located { at, length, extent: length, program, is_good, summary }
    }

    #[test]
    fn takes_is_bounded_by_size_of_file() {
        let size = 100 << 20;
        let mut found = Found::default();
        // Undamaged images side by side are free.
        let (first, second) = (image(1, 0, 10, true), image(2, 10, size, true));
        for image in [first, second] {
            assert_eq!(found.takes(&image, size), Taking::Taken);
            found.add(image, PathBuf::new());
        }
        assert_eq!(found.takes(&image(1, 5, size, false), size), Taking::Remnant);
        // Inner and damaged images share a budget.
        for is_good in [true, false] {
            let number = u8::from(is_good) + 3;
            let taken = found.takes(&image(number, 20, size, is_good), size);
            assert_eq!(taken, if is_good { Taking::Taken } else { Taking::LeftOut });
        }
        assert_eq!(found.takes(&image(5, 20, SPARE, false), size), Taking::Taken);
        assert_eq!(found.takes(&image(6, 21, 1, true), size), Taking::LeftOut);
        // The inner image went further than the one around it.
        assert_eq!(found.takes(&image(7, size + 15, 1, true), size), Taking::LeftOut);
        assert_eq!(found.takes(&image(8, size + 20, size, true), size), Taking::Taken);
    }

    #[test]
    fn shown_prefers_undamaged_then_inner_then_larger_images() {
        let shown = |images: Vec<Located>| {
            let mut found = Found::default();
            for (number, image) in images.into_iter().enumerate() {
                found.add(image, PathBuf::from(number.to_string()));
            }
            found
                .shown()
                .into_iter()
                .map(|path| path.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let of = |at, length, is_good| image(1, at, length, is_good);
        assert_eq!(shown(vec![of(0, 100, false), of(200, 10, true)]), ["1"]);
        assert_eq!(shown(vec![of(0, 10, true), of(200, 100, false)]), ["0"]);
        assert_eq!(shown(vec![of(0, 100, true), of(20, 10, true)]), ["1"]);
        assert_eq!(shown(vec![of(0, 10, true), of(20, 100, true), of(200, 50, true)]), ["1"]);
        assert_eq!(shown(vec![of(0, 10, false), of(20, 100, false)]), ["1"]);
        assert_eq!(shown(vec![of(0, 10, true), image(2, 20, 5, true)]), ["0", "1"]);
    }
}
