//! Documentation of the inventory, for all backends.

/// Documentation of an item of the inventory.
#[doc(hidden)]
#[macro_export]
macro_rules! docs {
    (NewFile) => {"
        A file before its publication: locked, mapped, all zero.

        Dropped without [`publish`](Self::publish) it is removed. Its memory stays valid for holders
        of the mapping, so a program can keep publishing into private memory if the final name is
        taken, for instance.
    "};
    (NewFile::path) => {"
        Path that the file gets at publication.
    "};
    (NewFile::set_name) => {"
        Chooses another final name in the same directory.

        # Errors

        If the name breaks a rule of [`name::check`](crate::name::check).
    "};
    (NewFile::publish) => {"
        Gives the file its final name. Observers see it from now on.

        # Errors

        If the name is taken ([`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists); its
        file is left as it is), or this process was forked off the creator.
    "};
    (NewFile::publish_over) => {"
        Gives the file the name of `old`, which this process has reopened. `old` has no name
        afterwards.

        One of the two has the name at any moment, also after a crash of the machine. (On Windows
        before 10.0.16299, which replaces no mapped file, there is an instant between two renames.)

        # Errors

        If the name no longer refers to `old` or cannot be replaced, or this process was forked off
        the creator.
    "};
    (Unpublished) => {"
        A file that could not be published.
    "};
    (OwnedFile) => {"
        A published file, locked by this writer as long as the value lives.

        Dropping it releases the lock, which tells observers that the writer is gone; the file
        stays. The bytes stay mapped while an `Arc` of [`mapping`](Self::mapping) exists.

        In a forked child it has no effect: dropping it changes nothing, the other methods return
        [`ErrorKind::Forked`](crate::ErrorKind::Forked).
    "};
    (OwnedFile::flush) => {"
        Writes the bytes to the disk, so that they survive a crash of the machine. A crash of the
        program loses nothing anyway, and a file in memory has no disk.

        With `wait` it returns when they are stored; without, it only starts.

        # Errors

        If they cannot be stored, or in a forked child.
    "};
    (OwnedFile::detach) => {"
        Replaces the mapping by a private copy at the same address. Handles keep working; the file
        does not change any more.

        # Errors

        If there is no memory for the copy; the mapping stays as it is.
    "};
    (OwnedFile::standing) => {"
        Whether observers find the file at its path and take it for that of a living writer. A few
        system calls.

        A name that cannot be looked up, because the process may no longer search the directory or
        has another root directory, counts as that of the file while the file has a name at all. In a
        forked child, which has a copy, always [`Standing::Published`](crate::Standing::Published).
    "};
    (OwnedFile::is_truncated) => {"
        Whether the file is shorter than its mapping, so that bytes are lost. Asks the open file alone:
        unlike [`standing`](Self::standing) it looks up no path. False in a forked child, and if the
        program closed the descriptor.
    "};
    (OwnedFile::touch) => {"
        Sets the time of the file's last change to now. Stores through the mapping need not change it:
        in memory they do not, so it tells when the writer died only if the writer sets it.

        # Errors

        If the program closed the descriptor, or in a forked child.
    "};
    (OwnedFile::remove) => {"
        Removes the name of the file. Lock and bytes stay until they are dropped.

        Windows versions that do not remove mapped files give it a temporary name first, and remove
        it when it is no longer mapped, at the latest by `sweep`.

        # Errors

        If the name refers to another file or to none
        ([`ErrorKind::Replaced`](crate::ErrorKind::Replaced)), cannot be removed, or in a forked
        child.
    "};
    (ObservedFile) => {"
        A file that is open for reading, mapped read-only.
    "};
    (ObservedFile::info) => {"
        Properties of the file when it was opened.
    "};
    (ObservedFile::is_locked) => {"
        Whether the writer lives, that is, holds the lock on the file.

        The lock belongs to the open file, not to a process, so files of this process are judged
        correctly too.

        # Errors

        If the file system has no locks; after [`close_handle`](Self::close_handle) also if the path
        no longer refers to the file ([`ErrorKind::Replaced`](crate::ErrorKind::Replaced)).
    "};
    (ObservedFile::size_now) => {"
        Current size of the file, in bytes.

        A file truncated in the middle of a page causes no fault: the rest of the page reads as zero
        and `Mapping::is_damaged` stays false. The size shows it.

        # Errors

        After [`close_handle`](Self::close_handle): if the path no longer refers to the file
        ([`ErrorKind::Replaced`](crate::ErrorKind::Replaced)).
    "};
    (ObservedFile::close_handle) => {"
        Closes the file and keeps the mapping, for observers of more files than a process may have
        open. [`is_locked`](Self::is_locked) reopens it at each call.

        `process::raise_open_files` raises the limit.
    "};
    (ObservedFile::is_snapshot) => {"
        Whether the mapping is a copy of the file as it was when it was opened.

        Reading a hole of a mapped file allocates its page on a file system in memory, so a file
        with holes there is copied instead. The files of publishers have none.
    "};
    (Mapping) => {"
        Mapped memory of a writer's image: of a file that this process writes, or private.

        It implements [`Memory`](mmstats_core::Memory), and so does an `Arc` of it. The bytes are
        accessible only by the pointer of [`Memory::base`](mmstats_core::Memory::base).
    "};
    (ObservedMapping) => {"
        Mapped memory of an observed file, which is only read.

        It implements [`ReadMemory`](mmstats_core::ReadMemory), and so does an `Arc` of it: a
        [`View`](mmstats_core::View) of it is a source of the reader. It is no memory of a writer,
        whose first store would end the process.
    "};
    (Mapping::is_damaged) => {"
        Whether bytes were lost, because the file was truncated or its device failed. Zeros are in
        their place; all values read so far are unreliable.
    "};
    (mapping) => {"
        The mapped bytes.
    "};
    (path) => {"
        Absolute path.
    "};
    (create) => {"
        Creates a file of `size` bytes under a temporary name in `directory`.
        [`NewFile::publish`] gives it the name `name`.

        # Errors

        If the name breaks a rule of [`name::check`](crate::name::check), `size` is 0 or above the
        limit of the process (which would be a signal otherwise), or the file system is full or has
        no locks. Only [`NewFile::publish`] checks whether the name is taken.
    "};
    (private) => {"
        Private memory of this process, all zero, for a program without a file. A forked child has a
        copy of its own.

        # Errors

        If `size` is 0, or there is no memory.
    "};
    (reopen) => {"
        Opens a file that an earlier run of this program left, to continue writing it.

        # Errors

        If it is not a regular file, belongs to another user, is empty, is larger than an image may
        be, or has a writer ([`ErrorKind::Locked`](crate::ErrorKind::Locked)).
    "};
    (open) => {"
        Opens a file and maps all of it, read-only.

        Does not follow a link at the end of the path (on Windows: no reparse point) and never
        blocks, whatever the path refers to. Does not exclude other programs, not even from
        removing the file. Installs the `fault_handler`, so that a file truncated later is
        [damaged](Mapping::is_damaged) instead of the end of this process.

        # Errors

        If it is not a regular file ([`ErrorKind::NotRegular`](crate::ErrorKind::NotRegular)), is
        empty, is truncated meanwhile, has holes in a file system in memory and more than 64 MiB
        besides, or may not be read.
    "};
    (read_all) => {"
        Reads all of a file of at most `max` bytes, without mapping it.

        # Errors

        As [`open`]; a file of more than `max` bytes is
        [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    "};
    (read_start) => {"
        Reads the first bytes of a file into `start`, without mapping it; returns their number.

        # Errors

        If it is not a regular file, is empty, or may not be read.
    "};
    (next_data) => {"
        First offset, `from` or above, at which a file may have other bytes than zeros; `None` if
        there is none. Holes are skipped without reading them. The position of the file may change.

        Returns `from` where the system does not report holes, as Windows.
    "};
    (info) => {"
        Properties of a regular file, without reading it.

        # Errors

        If it is not a regular file, or access is denied.
    "};
    (is_locked) => {"
        Whether the writer of a file lives, that is, holds the lock on it.

        # Errors

        If it is not a regular file, may not be read, or the file system has no locks.
    "};
    (sweep) => {"
        Removes dead programs of this user from a directory, and abandoned temporary files.

        Looks at temporary files and, with `identify`, at files named `*.mmst`. Those of other users and
        of living writers are passed over by type, owner and lock; `identify` is called for the others.
        Of each command the programs that died last are kept, all files of a program or none: see
        [`SweepOptions`](crate::SweepOptions). Returns the result for each file that was looked at. If
        not all names can be read, the sweep is incomplete, and removes only programs whose files were
        all looked at.

        # Errors

        If the directory cannot be read. A file that cannot be removed is a
        [`Removal::Failed`](crate::Removal::Failed); on Windows that includes mapped files.
    "};
    (open_in) => {"
        As [`open`], for a file of an open directory.

        # Errors

        As [`open`].
    "};
    (NewFile::directory) => {"
        The directory of the file.
    "};
    (remove_if_dead) => {"
        Removes a file of any name if its writer is dead and it belongs to this user.

        # Errors

        If the path cannot be that of a file, or its directory cannot be opened.
    "};
    (remove_judged) => {"
        Removes a file that was judged before, of any name, if it is still that file and that image,
        its writer is dead and it belongs to this user.

        Everything happens relative to the open directory, wherever its path leads by now. A file
        that takes the name in between stays, or gets its name back.
    "};
    (Directory) => {"
        An open directory.

        It stays the directory that was checked. On Unix, files are created relative to the
        descriptor, not by a path that may lead elsewhere later. On Windows, the open handle prevents
        that the user's own directory, or one above it, is renamed or removed.
    "};
    (Directory::open) => {"
        Opens a directory; links are followed.

        # Errors

        If it does not exist, is not a directory or must not be searched.
    "};
    (Directory::open_or_create) => {"
        Opens a directory. A missing one is created, for this user alone (mode 0700), but not its
        parents.

        # Errors

        As [`open`](Self::open), and if it cannot be created.
    "};
    (Directory::open_own) => {"
        Opens a directory that belongs to this user alone.

        # Errors

        As [`open`](Self::open), and if it is a link (on Windows: a reparse point), belongs to
        another user, or other users may write to it: another user may have created it first, to
        read or replace files in it.
    "};
    (Directory::create_own) => {"
        Opens a directory that belongs to this user alone. A missing one is created, with mode 0700,
        but not its parents.

        # Errors

        As [`open_own`](Self::open_own), and if it cannot be created.
    "};
    (Directory::is_memory_backed) => {"
        Whether the files in it are in memory and never wait for a disk; `None` where the system
        does not tell.

        Linux knows. Windows has disks only, but for RAM disks; files are marked as temporary there,
        so that they are written back late.

        # Errors

        If the system does not answer.
    "};
    (Directory::open_below) => {"
        Opens the directory `name` in it; `name` has no separators. A link is not followed.

        # Errors

        As [`open`](Self::open), and if it is a link (on Windows: a reparse point).
    "};
    (Directory::info) => {"
        Properties of the directory itself.

        # Errors

        If the system does not answer.
    "};
    (Directory::list) => {"
        Calls `each` for the names in it, in any order.

        # Errors

        If it cannot be read; some names may have been told before.
    "};
    (PublishDirectory) => {"
        The directory chosen for publishing.
    "};
    (environment) => {"
        Environment of this process; without any variable if
        `process::ignores_environment` is true.
    "};
    (publish_directory) => {"
        Directory to publish in: the first candidate that can be used, created if it is missing.
        `Environment::candidates` lists them. A file system that does not answer within ten seconds
        cannot be used.

        # Errors

        If no candidate can be used; the error is that of the best one.
    "};
    (publish_directory_at) => {"
        A directory to publish in, chosen by the program: [`Directory::open_or_create`], if files can be
        created in it. A file system that does not answer within ten seconds is an error.

        # Errors

        As [`Directory::open_or_create`]; if nothing can be created in it; and
        [`ErrorKind::NoAnswer`](crate::ErrorKind::NoAnswer).
    "};
    (publish_directory_in) => {"
        As [`publish_directory`], for another environment.

        # Errors

        As [`publish_directory`].
    "};
    (observe_directories) => {"
        Directories to search for files: all candidates that exist and can be trusted, best first.
    "};
    (observe_directories_in) => {"
        As [`observe_directories`], for another environment; also the candidates that exist, or were
        named by the user, and cannot be used.
    "};
    (is_memory_backed) => {"
        Whether the files in a directory are in memory: [`Directory::is_memory_backed`].

        # Errors

        If the directory cannot be opened, or the system does not answer.
    "};
    (fault_handler::install) => {"
        Installs the handler for the life of the process: SIGBUS on Unix, an exception on Windows.

        `open` installs it, because a truncated file would end the observer otherwise. A writer may
        install it, to survive the truncation of its own file.

        On Unix a handler that the program installs later gets the signal first, and has to call this
        one, or to restore it and raise the signal again. A further call puts this one in front again
        where the later handler has the flag SA_NODEFER, or the signal has its default action again; 7
        times at most. A later handler without that flag stays in front.

        # Errors

        If the system refuses.
    "};
    (fault_handler::is_installed) => {"
        Whether the handler is active: installed, and on Unix not replaced by another one since.
    "};
    (fork::forked) => {"
        Whether this process is a forked child of one that had opened a file for writing.

        Handles inherited from the parent work on a private copy. The child must publish anew to be
        visible.
    "};
    (fork::generation) => {"
        Number of forks between the process that first opened a file for writing and this one. A
        publisher that stores it at creation, and finds another number later, is in a child.

        One load, cheap enough to check often.
    "};
    (fork::Inhibitor) => {"
        While a thread has one, other threads do not fork. Several of one thread count as one.
    "};
    (fork::inhibit) => {"
        Waits while another thread forks, then delays forks of other threads until the result is
        dropped. For short sections with a lock that a forked child needs.

        A thread that forks waits about 0.2 s at most, since a holder may be blocked by a slow file
        system.
    "};
    (thread::spawn) => {"
        Starts a thread that takes none of the program's signals: all are blocked in it, but for those
        of faults of its own instructions. A program that waits for its signals in one thread
        (`sigwait`, `signalfd`) would be ended by a signal that another thread takes.

        # Errors

        As [`std::thread::Builder::spawn`].

        # Panics

        If `name` has a zero byte.
    "};
    (process::facts) => {"
        Properties of this process, without the thread id, which differs between lanes.
    "};
    (process::uid) => {"
        Effective user of this process, as [`Facts::uid`](crate::Facts::uid) has it, without the cost of the rest.
    "};
    (process::thread_id) => {"
        System-wide id of this thread; known on Linux and Windows.
    "};
    (process::coarse_time) => {"
        Current time in nanoseconds since 1970-01-01 UTC. Some milliseconds old on Linux,
        where it costs about 5 ns, and on Windows; exact elsewhere.
    "};
    (process::raise_open_files) => {"
        Raises the limit of open files of this process as far as possible; returns the new limit
        (`None`: unlimited).

        For tools. A library should not do it: children inherit the limit, and `select` does not
        support large descriptors.

        # Errors

        If the system refuses.
    "};
    (process::open_files) => {"
        Current limit of open files of this process (`None`: unlimited).
    "};
    (process::ignores_environment) => {"
        Whether this process has rights that its caller lacks: it is set-user-id or set-group-id, or
        has capabilities of its file. Then the environment is the caller's, and `environment` ignores
        it, as `secure_getenv` does. Always false on Windows.
    "};
    (process::random) => {"
        A random identity. Never waits and never fails: without a source of random bytes, the number is
        made from the time, addresses and identity of the process. Not for secrets.
    "};
    (process::exists) => {"
        Whether a process with this id exists; `None` where the system does not tell.
    "};
    (process::all) => {"
        Ids of all processes that the system shows to this one; empty where it does not tell. Known
        on Linux.
    "};
    (process::status) => {"
        What the system says of a process; `None` if there is none with this id, or where the system
        does not tell. Known on Linux.
    "};
    (process::mapped_files) => {"
        The published files that a process has mapped to write them, by names that end in `.mmst` or
        `.mmstats`. Paths of a process in a container lead through `/proc/PID/root`; a link in the
        container cannot lead out of it.

        # Errors

        If there is no such process, if its mappings belong to another user, or where the system does
        not tell. Known on Linux.
    "};
    (process::is_running) => {"
        Whether a process with this id, start time and boot runs: the values of `sys.pid`,
        `sys.start_time` and `sys.boot_id`. `None` where the system does not tell; a process in
        another pid namespace does not count as running.
    "};
}
