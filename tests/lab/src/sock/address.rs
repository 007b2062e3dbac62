//! The address of a socket, as text and as the kernel has it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc::{self, AF_INET, AF_INET6, AF_UNIX, c_int, socklen_t};

use super::names::error_text;
use crate::scene::{expand, notation};

/// The address of a socket, as the kernel has it.
#[derive(Clone)]
pub struct Address {
    bytes: [u8; size_of::<libc::sockaddr_storage>()],
    pub len: socklen_t,
}

impl From<&[u8]> for Address {
    fn from(bytes: &[u8]) -> Address {
        let mut address = Address::room();
        address.bytes[..bytes.len()].copy_from_slice(bytes);
        address.len = bytes.len() as socklen_t;
        address
    }
}

impl Address {
    /// Room for the kernel to fill in.
    pub fn room() -> Address {
        Address { bytes: [0; size_of::<libc::sockaddr_storage>()], len: size_of::<libc::sockaddr_storage>() as socklen_t }
    }

    /// `127.0.0.1:9501`, a path, `{NUL}name` or, of no family at all, `none`.
    pub fn parse(text: &str, family: c_int) -> Result<Address> {
        let start = |family| (family as libc::sa_family_t).to_ne_bytes();
        let bytes = match text {
            "none" => vec![0; size_of::<libc::sockaddr>()],
            path if family == AF_UNIX => {
                let path = expand(path);
                ensure!(path.len() <= 108, "a path has at most 108 bytes");
                [&start(AF_UNIX), path.as_slice()].concat()
            }
            text => match text.parse().ok().with_context(|| format!("'{text}' is not ADDRESS:PORT"))? {
                SocketAddr::V4(at) => [&start(AF_INET)[..], &at.port().to_be_bytes(), &at.ip().octets(), &[0; 8]].concat(),
                SocketAddr::V6(at) => [&start(AF_INET6)[..], &at.port().to_be_bytes(), &[0; 4], &at.ip().octets(), &at.scope_id().to_ne_bytes()].concat(),
            },
        };
        Ok(Address::from(bytes.as_slice()))
    }

    /// No longer than its type: for a path that fills sun_path the kernel reports one byte more, for the
    /// NUL, but does not accept that length.
    pub fn clipped(mut self) -> Address {
        if self.family() == AF_UNIX {
            self.len = self.len.min(size_of::<libc::sockaddr_un>() as socklen_t);
        }
        self
    }

    pub fn at(&self) -> *const libc::sockaddr {
        self.bytes.as_ptr().cast()
    }

    pub fn at_mut(&mut self) -> *mut libc::sockaddr {
        self.bytes.as_mut_ptr().cast()
    }

    fn family(&self) -> c_int {
        if self.len < 2 { 0 } else { u16::from_ne_bytes([self.bytes[0], self.bytes[1]]).into() }
    }

    fn ip(&self) -> Option<SocketAddr> {
        let bytes = |at: usize| &self.bytes[at..];
        let port = u16::from_be_bytes([self.bytes[2], self.bytes[3]]);
        match self.family() {
            AF_INET => Some((Ipv4Addr::from(*bytes(4).first_chunk()?), port).into()),
            AF_INET6 => Some(SocketAddrV6::new(Ipv6Addr::from(*bytes(8).first_chunk()?), port, 0, u32::from_ne_bytes(*bytes(24).first_chunk()?)).into()),
            _ => None,
        }
    }

    /// As it is typed; `-` if there is none.
    pub fn show(&self) -> String {
        match (self.ip(), &self.bytes[2..(self.len as usize).max(2)]) {
            (Some(at), _) => at.to_string(),
            (None, []) => "-".to_owned(),
            (None, name @ [0, ..]) => notation(name),
            (None, path) => notation(path.strip_suffix(b"\0").unwrap_or(path)),
        }
    }
}

/// What the error queue tells of an error: the error, and who has sent it.
pub fn extended_error(data: &[u8]) -> String {
    let (error, offender) = data.split_at(size_of::<libc::sock_extended_err>());
    // SAFETY: any bytes are such an error.
    let error: libc::sock_extended_err = unsafe { error.as_ptr().cast::<libc::sock_extended_err>().read_unaligned() };
    let text = format!(": {}", error_text(Errno::from_raw(error.ee_errno as c_int)));
    match Address::from(offender).ip() {
        Some(offender) => format!("{text}, ICMP type {} code {} from {}", error.ee_type, error.ee_code, offender.ip()),
        None => text,
    }
}
