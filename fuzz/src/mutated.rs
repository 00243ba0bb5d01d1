//! Arbitrary images with correct checksums.

use mmstats_core::protocol::Site;
use mmstats_core::{Region, Source, StaticBytes, StaticMemory};

use crate::limits::Limits;
use crate::{mutate, walk};

/// Maximum size of an image that is walked in shared memory too.
const MOST: usize = 16 << 10;

/// Walks the same bytes as a slice, at an odd address, and in shared memory.
///
/// # Panics
///
/// If the walks differ.
pub fn run(data: &[u8]) {
    let mut bytes = data.to_vec();
    mutate::seal(&mut bytes);
    let mut moved = vec![0];
    moved.extend(&bytes);
    let (seen, _) = Limits::CORE.hold(3 * data.len(), || walk::image(&bytes.as_slice()).hash());
    assert_eq!(walk::image(&&moved[1..]).hash(), seen, "at another address");
    // A region has whole words: further bytes would be zeros.
    if bytes.len() <= MOST && bytes.len().is_multiple_of(8) {
        thread_local!(static REGION: Region<StaticMemory> = region());
        REGION.with(|region| {
            store(region, &bytes);
            let view = Front { region, size: u32::try_from(bytes.len()).unwrap() };
            assert_eq!(walk::image(&view).hash(), seen, "in shared memory");
        });
    }
}

fn region() -> Region<StaticMemory> {
    let bytes: &'static mut StaticBytes<MOST> = Box::leak(Box::new(StaticBytes::new()));
    Region::new(bytes.into_memory()).unwrap()
}

fn store(region: &Region<StaticMemory>, bytes: &[u8]) {
    for (at, word) in (0..).step_by(4).zip(bytes.chunks(4)) {
        let word = u32::from_le_bytes(word.try_into().unwrap());
        mmstats_core::Atom32::new(region, at).unwrap().store(word);
    }
}

/// The first bytes of a region.
struct Front<'a> {
    region: &'a Region<StaticMemory>,
    size: u32,
}

impl Source for Front<'_> {
    fn size(&self) -> u32 {
        self.size
    }
    fn load32(&self, offset: u32) -> u32 {
        if offset < self.size { self.region.load32(offset) } else { 0 }
    }
    fn load64(&self, offset: u32) -> Option<u64> {
        if offset < self.size { self.region.load64(offset) } else { Some(0) }
    }
    fn fence(&self, site: Site) {
        self.region.fence(site);
    }
    fn copy(&self, offset: u32, out: &mut [u8]) {
        let inside = (self.size.saturating_sub(offset) as usize).min(out.len());
        let (inside, past) = out.split_at_mut(inside);
        self.region.copy(offset, inside);
        past.fill(0);
    }
}
