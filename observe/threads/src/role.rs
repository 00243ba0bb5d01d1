//! Roles of fields that describe threads.

use mmstats_observe::{FieldRef, File, Kind};

/// Meaning of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    Other,
    /// `sys.mirrored`: time of a copy, unrelated to the thread.
    Copied,
    ThreadId,
    ThreadName,
    Activity,
    /// `sys.lock.waits`, whose values are activities.
    Waits,
    /// `sys.lock.reading`: number of a lock that the thread holds for reading.
    Reading,
    /// `sys.lock.reading.more`: number of further locks held for reading.
    MoreReading,
    /// A property of the lock with this number and name.
    Lock(LockProperty, u64, String),
    LocksRefused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockProperty {
    Holder,
    Count,
    Since,
    Noticed,
}

/// The roles of all fields of a file, by number.
pub(crate) fn roles(file: &File) -> Vec<Role> {
    file.fields().map(|field| Role::of(&field)).collect()
}

impl Role {
    fn of(field: &FieldRef<'_>) -> Self {
        if field.is_retired() || field.damage().is_some() {
            return Self::Other;
        }
        let lock = |property| {
            let attribute = |name| field.attributes().find(|(key, _)| *key == name);
            let number = attribute("id").and_then(|(_, id)| id.parse().ok());
            let name = attribute("lock").map(|(_, name)| name.to_owned());
            let both = number.zip(name);
            both.map_or(Self::Other, |(number, name)| Self::Lock(property, number, name))
        };
        match field.label() {
            "sys.tid" => Self::ThreadId,
            "sys.thread" => Self::ThreadName,
            "sys.mirrored" => Self::Copied,
            "sys.lock.holder" => lock(LockProperty::Holder),
            "sys.lock.count" => lock(LockProperty::Count),
            "sys.lock.since" => lock(LockProperty::Since),
            "sys.lock.noticed" => lock(LockProperty::Noticed),
            "sys.lock.reading" => Self::Reading,
            "sys.lock.reading.more" => Self::MoreReading,
            "sys.lock.refused" => Self::LocksRefused,
            "sys.lock.waits" => Self::Waits,
            _ if field.properties().kind() == Some(Kind::Activity) => Self::Activity,
            _ => Self::Other,
        }
    }
}
