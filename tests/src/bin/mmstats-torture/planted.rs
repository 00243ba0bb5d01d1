//! Foreign entries in the directory, and permissions of our files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use mmstats_tests::actor::{Actor, path_of};
use mmstats_tests::look::{look, states, unsigned};
use mmstats_tests::system::is_root;

use crate::plan::Plan;
use crate::table::{Row, Table};
use crate::tools::{judge, names, place, tool};

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    let times = plan.pick(1, 10);
    table.row("umask 000 and 077", |row| {
        for _ in 0..times {
            for umask in ["0", "77"] {
                for (access, mode) in [("owner", 0o600), ("group", 0o640), ("everybody", 0o644)] {
                    row.case(|| modes(umask, access, mode));
                }
            }
        }
    });
    table.row("links, pipes, devices, directories", |row| {
        for _ in 0..times {
            planted(row);
        }
    });
    table.row("files of other users", |row| {
        for _ in 0..times {
            if !is_root() {
                row.lose("only the super-user can make a file of another user");
                return;
            }
            others(row);
        }
    });
    table.row("the user's directory is planted", |row| {
        for _ in 0..times {
            for plant in ["link", "owner", "readable", "mode", "file", "pipe", "none"] {
                row.case(|| {
                    let directory = place();
                    let actor = Actor::start_with_mounts("planted", directory.path(), &[plant]);
                    let mut actor = actor.ok_or("no mount namespaces here")?;
                    match actor.line() {
                        line if line == "passed" => Ok(()),
                        line => Err(format!("{plant}: {line}")),
                    }
                });
            }
        }
    });
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o7777
}

/// The permissions are those asked for, with any umask, and never wider: a file begins with those of
/// its owner.
fn modes(umask: &str, access: &str, want: u32) -> Result<(), String> {
    let place = place();
    let directory = place.path().join("published");
    let words = [format!("umask={umask}"), format!("access={access}"), "lanes=1".to_owned()];
    let words = words.each_ref().map(String::as_str);
    let mut actor = Actor::start("idle", &directory, &words);
    let path = path_of(&actor.line());
    // A second file.
    actor.ask("thread 1");
    let found = names(&directory).into_iter().map(|path| format!("{:o}", mode(&path)));
    let found = found.collect::<Vec<_>>();
    let want = format!("{want:o}");
    let directory = mode(&directory);
    if found == [want.as_str(); 2] && directory == 0o700 && path.exists() {
        return Ok(());
    }
    Err(format!("umask {umask}, {access}: {found:?} in a directory of {directory:o}"))
}

/// Every kind of entry that is not a regular file, some regular files, and a live one.
fn plant(directory: &Path, secret: &Path, old: &Path) -> Vec<PathBuf> {
    let at = |name: &str| directory.join(name);
    symlink(secret, at("to-a-secret.mmst")).expect("a link");
    symlink(old, at("to-an-image.mmst")).expect("a link");
    symlink(at("loop.mmst"), at("loop.mmst")).expect("a link");
    symlink("/dev/zero", at("to-a-device.mmst")).expect("a link");
    symlink("/", at("to-a-directory.mmst")).expect("a link");
    symlink(at("nowhere"), at("dangling.mmst")).expect("a link");
    fs::create_dir(at("directory.mmst")).expect("a directory");
    fs::write(at("empty.mmst"), "").expect("a file");
    fs::write(at("notes.mmst"), "not one of ours").expect("a file");
    fs::write(at(".planted.mmst.tmp-0123456789abcdef"), "not one of ours").expect("a file");
    let socket = std::os::unix::net::UnixListener::bind(at("socket.mmst")).expect("a socket");
    let made = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    assert!(made(Command::new("mkfifo").arg(at("pipe.mmst"))), "a pipe");
    // For other users than the super-user these are two more pipes.
    for (name, numbers) in [("zero.mmst", ["c", "1", "5"]), ("null.mmst", ["c", "1", "3"])] {
        let device = made(Command::new("mknod").arg(at(name)).args(numbers));
        assert!(device || made(Command::new("mkfifo").arg(at(name))), "a device");
    }
    drop(socket);
    names(directory)
}

fn planted(row: &mut Row) {
    let (directory, outside) = (place(), place());
    let secret = outside.path().join("secret.mmst");
    fs::write(&secret, "the secret words").expect("a file");
    // A dead image outside of the directory, to which a link leads.
    let mut dead = Actor::start("idle", outside.path(), &["name=outside"]);
    let old = path_of(&dead.line());
    dead.ask("update 1000000");
    dead.kill();
    let mut live = Actor::start("idle", directory.path(), &["name=live"]);
    let of_live = path_of(&live.line());
    live.ask("update 7");
    let there = plant(directory.path(), &secret, &old);
    let place = directory.path().to_str().expect("UTF-8");

    row.case(|| {
        let observer = look(directory.path());
        match unsigned(&observer, "counter") {
            7 => Ok(()),
            n => Err(format!("the sum is {n}: {:?}", states(&observer))),
        }
    });
    let everywhere = [
        &["ls", place][..],
        &["ls", "--json", place],
        &["show", "-v", place],
        &["show", "--json", place],
        &["poll", "*", "-d", "0.01", "-c", "2", place],
        &["events", place],
        &["clean", place],
    ];
    let each = there.iter().filter_map(|path| path.to_str());
    let each: Vec<[&str; 2]> = each
        .flat_map(|path| {
            ["show", "ls", "clean", "check", "dump", "scan", "events"].map(|tool| [tool, path])
        })
        .collect();
    for arguments in everywhere.into_iter().chain(each.iter().map(|words| &words[..])) {
        // The live one, and the links that are named, may be read.
        row.case(|| {
            let printed = judge(&mut tool(directory.path(), arguments), || ())?;
            let all = printed.out + &printed.err;
            // `scan` reads any path: a memory dump may be anywhere.
            let secrets = ["the secret", "1,000,000", "1000000"];
            if arguments[0] != "scan" && secrets.iter().any(|secret| all.contains(secret)) {
                return Err(format!("{arguments:?} follows: {all}"));
            }
            Ok(())
        });
    }
    row.case(|| {
        let mut sweeper = Actor::start("idle", directory.path(), &["post=0"]);
        let own = path_of(&sweeper.line());
        let mut now = names(directory.path());
        now.retain(|path| *path != own);
        if now != there {
            return Err(format!("{there:?} became {now:?}"));
        }
        Ok(())
    });
    row.case(|| {
        let kept = fs::read_to_string(&secret).is_ok_and(|text| text == "the secret words");
        let kept = kept && unsigned(&look(&old), "counter") == 1_000_000;
        if kept && of_live.exists() { Ok(()) } else { Err("something was changed".to_owned()) }
    });
}

/// In a directory for all users, as `/tmp`: no user, not even the super-user, removes dead files of
/// another one, or reads them without permission.
fn others(row: &mut Row) {
    const STRANGER: u32 = 54_321;
    let directory = place();
    let change = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    change(directory.path(), 0o1777).expect("it is ours");
    let dead = |user: Option<u32>| {
        let mut actor = Actor::start("idle", directory.path(), &[]);
        let path = path_of(&actor.line());
        actor.ask("update 9");
        actor.kill();
        chown(&path, user, None).expect("the super-user may");
        path
    };
    let ours = dead(None);
    row.case(|| {
        let mut reader = Actor::start("look-as", directory.path(), &["54321", "counter"]);
        match reader.line() {
            line if line == "nothing" => Ok(()),
            line => Err(format!("a stranger reads {line}")),
        }
    });
    let theirs = dead(Some(STRANGER));
    let place = directory.path().to_str().expect("UTF-8");
    row.case(|| {
        let printed = judge(&mut tool(directory.path(), &["clean", place]), || ())?;
        if theirs.exists() && !ours.exists() { Ok(()) } else { Err(printed.out + &printed.err) }
    });
    let ours = dead(None);
    row.case(|| {
        let mut sweeper = Actor::start("idle", directory.path(), &["post=0"]);
        sweeper.line();
        if theirs.exists() && !ours.exists() { Ok(()) } else { Err("swept".to_owned()) }
    });
    let ours = dead(None);
    row.case(|| {
        // As another user.
        let words = ["post=0", "user=54321"];
        let mut sweeper = Actor::start("idle", directory.path(), &words);
        sweeper.line();
        if ours.exists() && !theirs.exists() { Ok(()) } else { Err("swept".to_owned()) }
    });
}
