//! Access to the server: its address, and the secret that viewers share with it.

use std::fs;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::NamedTempFile;

use super::guard::{Guard, Token};
use super::host::{Authority, Known};
use crate::backend::reason;
#[cfg(unix)] // of sockets
use crate::backend::reason_to_make;

/// Minimum length of a token of the user, in characters.
const MIN_TOKEN: usize = 16;
/// Maximum size of a file with a token, in bytes.
const MAX_FILE: u64 = 4096;

/// Options for access to the server.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reach {
    /// Open the page in the browser: that of BROWSER, or of the desktop.
    #[arg(long)]
    pub(super) open: bool,

    /// Address and port; port 0 takes a free one. Beyond loopback --token-file is needed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6678", value_parser = address)]
    pub(super) listen: SocketAddr,

    /// Listen on a Unix socket that only this user may open, in place of an address; without a token.
    #[cfg(unix)] // Windows has none here
    #[arg(long, value_name = "PATH", conflicts_with_all = ["listen", "open", "token_file"])]
    pub(super) socket: Option<PathBuf>,

    /// Take the token from the first line of this file, which only its owner, and perhaps its group, may read.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// A name under which viewers reach the server, with a port if it is another one (a tunnel, a proxy).
    #[arg(long, value_name = "NAME[:PORT]", value_parser = authority)]
    host: Vec<Authority>,
}

/// `127.0.0.1:6678`, `[::1]:6678`, or a port of 127.0.0.1.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    let named = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    if let Some(port) = named {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.parse()
        .map_err(|_| "not an address with a port, as 127.0.0.1:6678 or [::1]:6678".to_owned())
}

fn authority(text: &str) -> Result<Authority, String> {
    Authority::parse(text)
        .ok_or_else(|| "not a name or an address, with or without a port".to_owned())
}

impl Reach {
    pub(super) fn is_local(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }

    fn known(&self) -> Known {
        Known::new(self.host.clone(), self.is_local())
    }

    /// The token of the user, or a new one.
    ///
    /// # Errors
    ///
    /// The problem of the file or of the command line, in words.
    pub(super) fn token(&self) -> Result<Token, String> {
        let Some(path) = &self.token_file else {
            if !self.is_local() {
                return Err(format!(
                    "{} can be reached from other machines: --token-file FILE with a token of yours is needed",
                    self.listen
                ));
            }
            return new_token().map_err(|error| format!("no random token: {error}"));
        };
        read_token(path).map_err(|text| format!("{}: no token: {text}", path.display()))
    }

    /// Whether the token is one of this run.
    pub(super) const fn makes_token(&self) -> bool {
        self.token_file.is_none()
    }

    pub(super) fn guard(&self, token: Option<Token>) -> Guard {
        Guard { known: self.known(), token }
    }

    /// The address as a browser of this machine names it.
    pub(super) fn url(address: SocketAddr) -> String {
        let ip = address.ip();
        match ip.is_unspecified() {
            true if ip.is_ipv6() => format!("http://[::1]:{}/", address.port()),
            true => format!("http://127.0.0.1:{}/", address.port()),
            false => format!("http://{address}/"),
        }
    }
}

/// 256 random bits.
fn new_token() -> Result<Token, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Token::new(crate::text::escape::hex(&bytes)))
}

fn read_token(path: &Path) -> Result<Token, String> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(format!("it is no regular file; {TOKEN_HELP}"));
    }
    if metadata.len() > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes; {TOKEN_HELP}"));
    }
    #[cfg(unix)] // Windows has no modes
    {
        use std::os::unix::fs::MetadataExt as _;
        // A secret of Kubernetes belongs to root, and its group is that of the pod.
        let user = crate::backend::directory::environment().user;
        let is_trusted = metadata.uid() == 0 || metadata.uid() == user;
        let refused = if is_trusted { 0o037 } else { 0o077 };
        if metadata.mode() & refused != 0 {
            return Err("others may open it: chmod 600".to_owned());
        }
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let token = text.lines().next().unwrap_or_default().trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.len() < MIN_TOKEN || !token.bytes().all(is_plain) {
        return Err(format!(
            "its first line is no token: {MIN_TOKEN} or more of letters, digits and -._~+/="
        ));
    }
    Ok(Token::new(token))
}

/// What --token-file wants.
const TOKEN_HELP: &str = "--token-file takes a file of yours (chmod 600) whose first line is 16 or more letters and digits";

fn unreadable(error: &io::Error) -> String {
    format!("cannot read it: {}; {TOKEN_HELP}", reason(error))
}

/// Listens at an address.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is in use, perhaps by another `mmstats serve`: --listen 127.0.0.1:0 takes a free port"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "cannot listen at {address}: permission denied: ports below 1024 are for root; \
             --listen 127.0.0.1:0 takes a free port"
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "cannot listen at {address}: this machine has no such address; --listen takes one of its own"
        ),
        _ => format!("cannot listen at {address}: {}", reason(&error)),
    })?;
    let set = listener.set_nonblocking(true);
    set.map_err(|error| format!("cannot listen at {address}: {}", reason(&error)))?;
    Ok(listener)
}

/// A Unix socket that is removed at the end.
#[cfg(unix)] // Windows has none here
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    /// Device and number of its file.
    id: (u64, u64),
}

#[cfg(unix)] // Windows has none here
impl Socket {
    /// Listens at a path that only this user may open, from the beginning.
    pub(super) fn bind(path: &Path) -> Result<(std::os::unix::net::UnixListener, Self), String> {
        use std::os::unix::fs::PermissionsExt as _;
        use std::os::unix::net::UnixListener;
        let wrong = |error: io::Error| {
            let (shown, why) = (path.display(), reason_to_make(path, &error));
            let help = match error.kind() {
                io::ErrorKind::AlreadyExists if is_socket(path) => {
                    ": another program listens there, perhaps another `mmstats serve`; end that, or \
                     name another path"
                }
                io::ErrorKind::AlreadyExists => {
                    ", and that is no socket; name another path, or remove it"
                }
                _ => "",
            };
            format!("cannot listen at {shown}: {why}{help}")
        };
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let parent = parent.unwrap_or(Path::new("."));
        remove_stale(path).map_err(wrong)?;
        // Made in a private directory, then linked: a link replaces no file.
        let directory = tempfile::Builder::new().prefix(".mmstats-").tempdir_in(parent);
        let directory = directory.map_err(wrong)?;
        let made = directory.path().join("s");
        let listener = UnixListener::bind(&made).map_err(wrong)?;
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600)).map_err(wrong)?;
        fs::hard_link(&made, path).map_err(wrong)?;
        let socket = Self { path: path.to_owned(), id: id(path).map_err(wrong)? };
        listener.set_nonblocking(true).map_err(wrong)?;
        Ok((listener, socket))
    }
}

#[cfg(unix)] // Windows has none here
fn id(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(unix)] // Windows has none here
fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Removes the socket of a server that has ended.
#[cfg(unix)] // Windows has none here
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::net::UnixStream;
    if is_socket(path)
        && let Err(error) = UnixStream::connect(path)
        && error.kind() == io::ErrorKind::ConnectionRefused
    {
        return fs::remove_file(path);
    }
    Ok(())
}

#[cfg(unix)] // Windows has none here
impl Drop for Socket {
    fn drop(&mut self) {
        // Another server may have taken the path meanwhile.
        if id(&self.path).is_ok_and(|id| id == self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file with a secret, which only this user may read, until it is dropped.
///
/// # Errors
///
/// A message with the directory, not escaped.
pub(super) fn secret_file(text: &str, suffix: &str) -> Result<NamedTempFile, String> {
    let directory = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let directory = directory.filter(|directory| directory.is_dir());
    let directory = directory.unwrap_or_else(std::env::temp_dir);
    let mut builder = tempfile::Builder::new();
    builder.prefix("mmstats-serve-").suffix(suffix);
    let make = || -> io::Result<NamedTempFile> {
        let mut file = builder.tempfile_in(&directory)?;
        file.write_all(text.as_bytes())?;
        file.flush()?;
        Ok(file)
    };
    make().map_err(|error| {
        let (directory, why) = (directory.display(), reason(&error));
        format!(
            "cannot make a file for the token in {directory}: {why}; set XDG_RUNTIME_DIR or TMPDIR, or \
             name a token by --token-file"
        )
    })
}

/// A page that leads the browser to the address with the token, which so is in no list of arguments.
pub(super) fn redirect(url: &str, token: &Token) -> Result<NamedTempFile, String> {
    let token = token.reveal();
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>mmstats</title>\
         <meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0;url={url}#token={token}\">\
         <p><a href=\"{url}#token={token}\">mmstats</a></p>\n"
    );
    secret_file(&page, ".html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_takes_port_and_address() {
        let parse = |text| address(text).map(|address| address.to_string());
        assert_eq!(parse("8080"), Ok("127.0.0.1:8080".to_owned()));
        assert_eq!(parse("localhost:1"), Ok("127.0.0.1:1".to_owned()));
        assert_eq!(parse("[::1]:0"), Ok("[::1]:0".to_owned()));
        for wrong in ["", "127.0.0.1", "example.org:80", "65536", "127.0.0.1:x"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(unix)] // modes
    #[test]
    fn read_token_refuses_what_others_may_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let read = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read_token(&path).map(|token| token.reveal().to_owned())
        };
        assert_eq!(read("0123456789abcdef\n", 0o600), Ok("0123456789abcdef".to_owned()));
        // The owner is this user.
        assert!(read("0123456789abcdef\n", 0o640).is_ok());
        for mode in [0o644, 0o604, 0o660, 0o650, 0o601] {
            assert!(read("0123456789abcdef\n", mode).unwrap_err().contains("chmod"), "{mode:o}");
        }
        for wrong in ["short", "", "0123456789abcd\"<", "0123456789 abcdef"] {
            assert!(read(wrong, 0o600).unwrap_err().contains("token"), "{wrong}");
        }
    }
}
