//! Space of a file on the disk.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;

use super::handle;

/// Sets the size of a new file and allocates its space.
pub(super) fn allocate(file: &File, size: u64) -> io::Result<()> {
    if handle::stat(file)?.thin {
        handle::expand(file)?;
    }
    reserve(file, size)?;
    let mut at = 0;
    while at < size {
        let left = usize::try_from(size - at).unwrap_or(usize::MAX);
        let chunk = &ZEROS[..ZEROS.len().min(left)];
        match file.seek_write(chunk, at)? {
            0 => return Err(io::Error::from(io::ErrorKind::StorageFull)),
            written => at += written as u64,
        }
    }
    Ok(())
}

/// Reserves space. A file system that cannot do so allocates it when bytes are written.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    match handle::reserve(file, size) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        _ => Ok(()),
    }
}

/// Allocates the holes of a file, which a copy may have, by writing its bytes again.
pub(super) fn fill(file: &File, size: u64) -> io::Result<()> {
    reserve(file, size)?;
    let mut chunk = vec![0; 65_536];
    let mut at = 0;
    while at < size {
        let read = match file.seek_read(&mut chunk, at)? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            read => read,
        };
        let mut written = 0;
        while written < read {
            written += file.seek_write(&chunk[written..read], at + written as u64)?;
        }
        at += read as u64;
    }
    Ok(())
}

static ZEROS: [u8; 65_536] = [0; 65_536];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocate_sets_size_and_space() {
        let place = tempfile::tempdir().unwrap();
        let file = File::create_new(place.path().join("x")).unwrap();
        allocate(&file, 1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
        assert!(handle::tests::allocated(&file) >= 1 << 20);
    }
}
