//! Reasons why a cookie is refused.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Disabled,
    NoHost,
    Empty,
    ControlCharacter,
    /// Only a file can name such a cookie.
    Separator,
    TooLong(usize),
    /// It has none of its own, and a server may redirect to addresses of any length: they are not
    /// kept for it.
    LongPath,
    /// A `Domain` with characters that no host name has.
    BadDomain,
    PublicSuffix,
    ForeignDomain,
    InsecureOrigin,
    OverlaysSecure,
    SameSiteNone,
    SecurePrefix,
    HostPrefix,
    NamelessPrefix,
    NoRoom,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "this jar keeps no cookies",
            Self::NoHost => "only addresses of http and https have cookies, and of hosts of at most 253 characters",
            Self::Empty => "it has neither a name nor a value",
            Self::ControlCharacter => "it has a control character in it",
            Self::Separator => "it has a ; in it, or a = in its name, and would be sent as something else",
            Self::TooLong(length) => return write!(f, "name and value have {length} bytes, and 4096 are the most"),
            Self::LongPath => "it has no Path, and that of the address is longer than 1024 bytes",
            Self::BadDomain => "its Domain is not a host name",
            Self::PublicSuffix => "its Domain is a public suffix, under which anybody may have a host",
            Self::ForeignDomain => "its Domain is neither the host that sets it nor one above it",
            Self::InsecureOrigin => "it is Secure, and only https (or this machine itself) may set such a cookie",
            Self::OverlaysSecure => "there is a Secure cookie of that name, which http may not replace or hide",
            Self::SameSiteNone => "SameSite=None is only for Secure cookies",
            Self::SecurePrefix => "a name that begins with __Secure- is only for Secure cookies",
            Self::HostPrefix => {
                "a name that begins with __Host- is only for Secure cookies with Path=/ and without a Domain"
            }
            Self::NamelessPrefix => "it has no name, and its value reads like a name with a prefix",
            Self::NoRoom => "there is no room: all other cookies of its domain are Secure, and go before it",
        })
    }
}
