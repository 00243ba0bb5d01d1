//! This machine and its user.

/// The name of the user, or its number.
pub(super) fn user() -> Option<String> {
    let name = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|key| std::env::var(key).ok());
    let name = name.filter(|name| !name.is_empty());
    name.or_else(|| crate::render::program::own_user().map(|id| id.to_string()))
}

/// The name of this machine.
pub(crate) fn host_name() -> Option<String> {
    #[cfg(unix)] // uname
    return rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
    #[cfg(not(unix))] // Windows
    return std::env::var("COMPUTERNAME").ok();
}
