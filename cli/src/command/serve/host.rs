//! The `Host` of a request: which server the sender means.
//!
//! A page of another site can make its own name stand for the address of this server. Requests of that
//! page then carry that name, so a server that compares it tells them from its own.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Host and port of a `Host` header, of an origin, or of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) host: Host,
    /// `None` if it is not given: the default of the scheme.
    pub(super) port: Option<u16>,
}

/// An address, or a name in lower case without its final dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
}

impl Authority {
    /// `None` for what no browser sends: user information, spaces, an address in other than the usual
    /// spelling, a name with characters that names do not have.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                (Host::Address(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)), port)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (name, port) = text.split_at_checked(end)?;
                (Host::parse_name(name)?, port)
            }
        };
        let port = match port {
            "" => None,
            port => Some(parse_port(port.strip_prefix(':')?)?),
        };
        Some(Self { host: host.canonical(), port })
    }
}

fn parse_port(text: &str) -> Option<u16> {
    // `parse` takes a sign too.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Host {
    fn parse_name(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        // `127.1` and `0x7f000001` are addresses in a spelling that browsers do not send.
        let last = name.rsplit('.').next()?;
        let is_number = last.bytes().all(|b| b.is_ascii_digit())
            || last
                .strip_prefix("0x")
                .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        (name.split('.').all(is_label) && !is_number).then_some(Self::Name(name))
    }

    /// An IPv4 address that is written as one of IPv6 is the same server.
    fn canonical(self) -> Self {
        match self {
            Self::Address(address) => Self::Address(address.to_canonical()),
            Self::Name(name) => Self::Name(name),
        }
    }
}

/// The hosts under which a server is known.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Hosts named on the command line.
    named: Vec<Authority>,
    /// Whether only this machine reaches it.
    local: bool,
}

impl Known {
    pub(super) const fn new(named: Vec<Authority>, local: bool) -> Self {
        Self { named, local }
    }

    /// Whether a request that reached the server at `address` (`None` for a Unix socket) is for it.
    pub(super) fn contains(&self, asked: &Authority, address: Option<SocketAddr>) -> bool {
        let port = address.map(|address| address.port());
        let is_port = asked.port.is_none() || port.is_none() || asked.port == port;
        let own = match &asked.host {
            Host::Address(ip) => match address {
                Some(address) => *ip == address.ip().to_canonical(),
                None => ip.is_loopback(),
            },
            Host::Name(name) => {
                name == "localhost" && (self.local || address.is_none_or(|a| a.ip().is_loopback()))
            }
        };
        let is_named = |named: &Authority| {
            named.host == asked.host && named.port.map_or(is_port, |port| asked.port == Some(port))
        };
        (own && is_port) || self.named.iter().any(is_named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(text: &str) -> bool {
        let known = Known::new(Vec::new(), true);
        let address = "127.0.0.1:6678".parse().unwrap();
        Authority::parse(text).is_some_and(|asked| known.contains(&asked, Some(address)))
    }

    #[test]
    fn known_host_is_accepted_in_its_spellings() {
        for text in [
            "127.0.0.1:6678",
            "127.0.0.1",
            "localhost:6678",
            "LocalHost:6678",
            "localhost.:6678",
            "localhost",
            "[::ffff:127.0.0.1]:6678",
        ] {
            assert!(is_known(text), "{text}");
        }
    }

    #[test]
    fn other_host_is_refused_in_each_spelling() {
        for text in [
            "evil.test:6678",
            "127.evil:6678",
            "127.0.0.1.evil.test:6678",
            "localhost.evil.test:6678",
            "evil.test.:6678",
            "localhost..:6678",
            "127.0.0.1@evil.test:6678",
            "evil.test@127.0.0.1:6678",
            "127.0.0.1:6678@evil.test",
            "[::1]:6678",
            "[::1",
            "[127.0.0.1]:6678",
            "127.0.0.1:80",
            "127.0.0.1:",
            "127.0.0.1:+6678",
            "127.0.0.1:6678:6678",
            "127.0.0.1.:6678",
            "127.1:6678",
            "0x7f.0.0.1:6678",
            "2130706433:6678",
            "0x7f000001",
            "0177.0.0.1:6678",
            "0.0.0.0:6678",
            "127.0.0.2:6678",
            "local host:6678",
            " localhost:6678",
            "http://localhost:6678",
            "",
            ":6678",
            "localhost\u{2024}:6678",
        ] {
            assert!(!is_known(text), "{text}");
        }
    }

    #[test]
    fn known_host_of_the_command_line_has_its_port() {
        let named = ["web.example", "localhost:9000"].map(|text| Authority::parse(text).unwrap());
        let known = Known::new(named.to_vec(), false);
        let address = "192.0.2.7:6678".parse().unwrap();
        let is_known = |text: &str| known.contains(&Authority::parse(text).unwrap(), Some(address));
        for text in ["web.example:6678", "WEB.example", "localhost:9000", "192.0.2.7:6678"] {
            assert!(is_known(text), "{text}");
        }
        for text in ["web.example:80", "localhost:6678", "localhost", "192.0.2.8:6678"] {
            assert!(!is_known(text), "{text}");
        }
    }
}
