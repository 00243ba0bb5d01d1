//! Which files a sweep removes: the rules, over what a backend finds out.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Removal, SweepOptions, Swept, name};

/// What a sweep asks of a backend.
pub trait Sweeper {
    /// What tells the file that was judged from another one of the same name.
    type Id;

    /// When a dead file of this user was modified and which it is; or why it must stay.
    ///
    /// # Errors
    ///
    /// Why it must stay.
    fn judge(
        &self,
        name: &OsStr,
        path: &Path,
    ) -> core::result::Result<(SystemTime, Self::Id), Removal>;

    /// Removes the dead file `id`, if `name` still refers to it and it is still dead.
    fn remove(&self, name: &OsStr, path: &Path, id: Self::Id) -> Removal;
}

/// Sweeps the files `names` of a directory; looks at temporary files, and at published ones
/// for which `is_candidate` is true. See [`SweepOptions`] for what is kept.
pub fn sweep_names<S: Sweeper>(
    sweeper: &S,
    directory: &Path,
    names: impl IntoIterator<Item = OsString>,
    options: &SweepOptions,
    is_candidate: &dyn Fn(&OsStr) -> bool,
) -> Vec<Swept> {
    let (mut swept, mut dead) = (Vec::new(), Vec::new());
    let remove = |name: &OsStr, path: &PathBuf, id| {
        if options.dry_run { Removal::WouldRemove } else { sweeper.remove(name, path, id) }
    };
    for name in names {
        let temporary = name::is_temporary(&name);
        let candidate = temporary || (name::is_published(&name) && is_candidate(&name));
        if !candidate {
            continue;
        }
        let path = directory.join(&name);
        let removal = match sweeper.judge(&name, &path) {
            Err(removal) => removal,
            Ok((modified, _)) if temporary && !is_old(modified, options) => Removal::TooYoung,
            Ok((_, id)) if temporary => remove(&name, &path, id),
            Ok((modified, id)) => {
                dead.push((modified, id, name, path));
                continue;
            }
        };
        swept.push(Swept { path, removal });
    }
    // By name where times are equal, so that sweepers who are at work together keep the same.
    dead.sort_by(|(a, _, a_name, _), (b, _, b_name, _)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
    // What claims to be of the future comes first, and is counted apart.
    let now = SystemTime::now();
    let of_future = dead.partition_point(|(modified, ..)| *modified > now);
    for (at, (_, id, name, path)) in dead.into_iter().enumerate() {
        let rank = if at < of_future { at } else { at - of_future };
        let removal = if rank < options.keep { Removal::Kept } else { remove(&name, &path, id) };
        swept.push(Swept { path, removal });
    }
    swept
}

/// Far in the future is old too: it was begun before the clock was set back.
fn is_old(modified: SystemTime, options: &SweepOptions) -> bool {
    let age = SystemTime::now().duration_since(modified);
    age.unwrap_or_else(|ahead| ahead.duration()) >= options.temporary_age
}

/// The directory of a file, and its name in it; `None` where it can be no file.
#[must_use]
pub fn split(path: &Path) -> Option<(PathBuf, &OsStr)> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Some((parent.to_owned(), path.file_name()?))
}
