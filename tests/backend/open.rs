//! Opening: regular files only, judged by their lock.

mod util;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use mmstats_core::ReadMemory;
use util::{child, child_path, new_file, published, say, symlink, wait_for_end, word};

use crate::backend::{ErrorKind, FileType, info, is_locked, next_data, open, read_all, read_start};

#[test]
fn open_accepts_regular_files_only() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::write(path("file.mmst"), vec![1; 100]).unwrap();
    fs::create_dir(path("directory.mmst")).unwrap();
    fs::write(path("empty.mmst"), "").unwrap();
    let mut refused = vec![
        ("directory.mmst", ErrorKind::NotRegular(FileType::Directory)),
        ("empty.mmst", ErrorKind::Empty),
        ("none.mmst", ErrorKind::NotFound),
    ];
    if symlink(&path("file.mmst"), &path("link.mmst")) {
        refused.push(("link.mmst", ErrorKind::NotRegular(FileType::Link)));
    }
    #[cfg(unix)] // Windows has no pipes and sockets in directories
    let _listener = {
        util::mkfifo(&path("pipe.mmst"));
        refused.push(("pipe.mmst", ErrorKind::NotRegular(FileType::Pipe)));
        refused.push(("socket.mmst", ErrorKind::NotRegular(FileType::Socket)));
        std::os::unix::net::UnixListener::bind(path("socket.mmst")).unwrap()
    };
    for (name, kind) in &refused {
        let error = open(&path(name)).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(read_all(&path(name), 1000).unwrap_err().kind(), kind, "{name}");
    }
    // A device of every machine.
    let device = if cfg!(windows) { r"\\.\NUL" } else { "/dev/zero" };
    let device = open(Path::new(device)).unwrap_err();
    assert_eq!(device.kind(), ErrorKind::NotRegular(FileType::Device));
    open(&path("file.mmst")).unwrap();
}

#[cfg(target_pointer_width = "64")] // The mapping takes 4 GiB of addresses.
#[test]
fn open_maps_less_than_4_gib_of_larger_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("huge.mmst");
    // Windows makes no sparse file unless it is told to.
    fs::write(&path, [7; 100]).unwrap();
    let size = if cfg!(windows) { 100 } else { 5 << 30 };
    fs::File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
    let opened = open(&path).unwrap();
    assert_eq!(opened.info().size, size);
    assert_eq!(opened.mapping().len() as u64, size.min(u32::MAX.into()));
    let kind = ErrorKind::TooLarge { size, limit: 50 };
    assert_eq!(read_all(&path, 50).unwrap_err().kind(), &kind);
    let mut start = [0; 8];
    assert_eq!(read_start(&path, &mut start).unwrap(), 8);
    assert_eq!(start, [7; 8]);
}

#[test]
fn info_describes_the_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    fs::write(&path, [5; 4097]).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    let opened = open(&path).unwrap();
    let info = opened.info();
    assert_eq!(*info, self::info(&path).unwrap());
    assert_eq!(info.path, path);
    assert_eq!(info.size, 4097);
    assert_eq!(info.modified, metadata.modified().unwrap());
    #[cfg(unix)] // the standard library provides both
    {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(info.owner, Some(metadata.uid()));
        assert_eq!((info.id.device, info.id.index), (metadata.dev(), metadata.ino()));
    }
    #[cfg(windows)] // no owner in the standard library
    assert_eq!(info.owner, crate::backend::process::facts().uid);
    assert_eq!(opened.mapping().len(), 4097);
    assert_eq!(word(opened.mapping(), 4092).load(Relaxed), 0x0505_0505);

    let (info, bytes) = read_all(&path, 4097).unwrap();
    assert_eq!((&info, bytes.len()), (opened.info(), 4097));
    assert!(bytes.iter().all(|&byte| byte == 5));
    let kind = ErrorKind::TooLarge { size: 4097, limit: 4096 };
    assert_eq!(read_all(&path, 4096).unwrap_err().kind(), kind);
}

#[test]
fn read_start_reads_what_fits() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    fs::write(&path, b"start").unwrap();
    let mut start = [0; 8];
    assert_eq!(read_start(&path, &mut start[..3]).unwrap(), 3);
    assert_eq!(read_start(&path, &mut start).unwrap(), 5, "the whole file");
    assert_eq!(&start, b"start\0\0\0");
    let link = place.path().join("link.mmst");
    if symlink(&path, &link) {
        let kind = ErrorKind::NotRegular(FileType::Link);
        assert_eq!(read_start(&link, &mut start).unwrap_err().kind(), kind);
    }
}

#[test]
fn next_data_skips_holes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x");
    let (size, data) = (1 << 30, 1 << 29);
    let mut file = fs::File::create_new(&path).unwrap();
    file.set_len(size).unwrap();
    file.seek(SeekFrom::Start(data)).unwrap();
    file.write_all(&[1; 100]).unwrap();
    let file = fs::File::open(&path).unwrap();
    // Never after the data, and unchanged inside it; 0 on systems that do not report holes.
    let (first, inside) = (next_data(&file, 0).unwrap(), data + 50);
    assert!(first <= data);
    assert_eq!(next_data(&file, inside), Some(inside));
    #[cfg(target_os = "linux")] // its file systems for temporary files report holes
    {
        // The end of the data was not looked for.
        assert_eq!((&file).stream_position().unwrap(), inside);
        assert!(first > data - (1 << 20), "{first}");
        assert_eq!(next_data(&file, data + (1 << 20)), None);
        assert_eq!(next_data(&file, size), None);
    }
}

#[test]
fn is_locked_sees_writers_of_this_process() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 4096);
    let opened = open(file.path()).unwrap();
    let other = open(file.path()).unwrap();
    for _ in 0..3 {
        assert!(opened.is_locked().unwrap());
        assert!(other.is_locked().unwrap());
    }
    // Handles may hold the mapping; the lock ends with the file.
    let mapping = Arc::clone(file.mapping());
    drop(file);
    assert!(!opened.is_locked().unwrap());
    assert!(!is_locked(&opened.info().path).unwrap());
    word(&mapping, 0).store(9, Relaxed);
    assert_eq!(word(opened.mapping(), 0).load(Relaxed), 9);
}

#[test]
fn is_locked_ignores_other_observers() {
    let place = tempfile::tempdir().unwrap();
    let path = published(place.path(), "x.mmst", 4096).path().to_owned();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let opened = open(&path).unwrap();
            scope.spawn(move || {
                for _ in 0..20_000 {
                    assert!(!opened.is_locked().unwrap());
                }
            });
        }
    });
}

#[test]
fn reopen_succeeds_beside_busy_observers() {
    let place = tempfile::tempdir().unwrap();
    let path = published(place.path(), "x.mmst", 4096).path().to_owned();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    is_locked(&path).unwrap();
                }
            });
        }
        let results: Vec<_> = (0..50).map(|_| crate::backend::reopen(&path).map(drop)).collect();
        done.store(true, Relaxed);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    });
}

#[test]
fn is_locked_after_close_handle_reopens_the_file() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 4096);
    let mut opened = open(file.path()).unwrap();
    opened.close_handle();
    assert!(opened.is_locked().unwrap());
    let path = file.path().to_owned();
    drop(file);
    assert!(!opened.is_locked().unwrap());
    fs::rename(&path, place.path().join("y.mmst")).unwrap();
    assert_eq!(opened.is_locked().unwrap_err().kind(), ErrorKind::Replaced);
    let _other = published(place.path(), "x.mmst", 4096);
    assert_eq!(opened.is_locked().unwrap_err().kind(), ErrorKind::Replaced);
}

#[test]
fn size_now_follows_truncation_and_replacement() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    fs::write(&path, [1; 100]).unwrap();
    let mut opened = open(&path).unwrap();
    assert_eq!(opened.size_now().unwrap(), 100);
    let shrunk = fs::File::options().write(true).open(&path).unwrap().set_len(50);
    // Windows refuses to truncate a mapped file.
    let size = if cfg!(windows) { 100 } else { 50 };
    #[cfg(windows)] // refuses to truncate a mapped file
    {
        const USER_MAPPED_FILE: i32 = 1224;
        assert_eq!(shrunk.unwrap_err().raw_os_error(), Some(USER_MAPPED_FILE));
    }
    #[cfg(unix)] // truncates it
    {
        shrunk.unwrap();
        assert_eq!(opened.size_now().unwrap(), 50);
        // No fault in the middle of a page.
        assert_eq!(word(opened.mapping(), 96).load(Relaxed), 0);
    }
    assert!(!opened.mapping().is_damaged());
    opened.close_handle();
    assert_eq!(opened.size_now().unwrap(), size);
    // Renamed, because Windows does not remove a mapped file.
    fs::rename(&path, place.path().join("away")).unwrap();
    assert_eq!(opened.size_now().unwrap_err().kind(), ErrorKind::Replaced);
    fs::write(&path, [1; 100]).unwrap();
    assert_eq!(opened.size_now().unwrap_err().kind(), ErrorKind::Replaced);
}

#[test]
fn child_publishes_and_waits() {
    let Some(path) = child_path() else { return };
    let file = published(&path, "x.mmst", 4096);
    word(file.mapping(), 64).store(77, Relaxed);
    say("published");
    wait_for_end();
}

#[test]
fn is_locked_of_killed_writer_is_false_and_values_stay() {
    let place = tempfile::tempdir().unwrap();
    let mut process = child("child_publishes_and_waits", place.path());
    assert_eq!(process.hear(), "published");
    let opened = open(&place.path().join("x.mmst")).unwrap();
    assert!(opened.is_locked().unwrap());
    process.kill();
    assert!(!opened.is_locked().unwrap());
    assert_eq!(word(opened.mapping(), 64).load(Relaxed), 77);
}

#[test]
fn open_holds_ten_thousand_files() {
    let place = tempfile::tempdir().unwrap();
    let limit = crate::backend::process::raise_open_files().unwrap();
    fs::write(place.path().join("x.mmst"), [1; 64]).unwrap();
    let started = std::time::Instant::now();
    // The time for each file grows with the number of open files under wine.
    let count = if util::is_wine() { 1000 } else { 10_000 };
    let all: Vec<_> = (0..count)
        .map(|_| {
            let mut opened = open(&place.path().join("x.mmst")).unwrap();
            if limit.is_some_and(|limit| limit < 11_000) {
                opened.close_handle();
            }
            opened
        })
        .collect();
    eprintln!("{count} files opened in {:?}", started.elapsed());
    assert!(all.iter().all(|opened| word(opened.mapping(), 0).load(Relaxed) == 0x0101_0101));
}

#[test]
fn is_locked_of_unpublished_file_is_true() {
    let place = tempfile::tempdir().unwrap();
    let _file = new_file(place.path(), "x.mmst", 4096);
    let name = util::names(place.path()).remove(0);
    assert!(is_locked(&place.path().join(name)).unwrap());
}
