//! Network devices and their filters by rtnetlink(7), in the network namespace of the calling thread. The
//! only module that names `netlink-packet-core`.

mod events;
mod link;
mod tc;

use std::io;
use std::iter;
use std::os::fd::OwnedFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlasIterator,
};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

pub(super) use self::events::{Changes, Events};
pub(super) use self::link::Link;
pub(super) use self::tc::{Filter, Place, Qdisc, Side};

/// The largest part of a list that the kernel sends at once.
const LIST_BYTES: usize = 32 * 1024;

/// Length of a message's header (`struct nlmsghdr`).
const HEADER_BYTES: usize = 16;

/// Length of an attribute's header (`struct nlattr`).
const ATTRIBUTE_BYTES: usize = 4;

/// Headers and attributes are padded to a multiple of this.
const ALIGNMENT: usize = 4;

/// A request to the kernel.
struct Request(Vec<u8>);

impl Request {
    /// A request of this type, with these `NLM_F_` bits in addition to those of every request; `fixed` is
    /// the structure that the payload begins with.
    fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        let mut header = NetlinkBuffer::new(&mut bytes[..]);
        header.set_message_type(kind);
        header.set_flags(NLM_F_REQUEST | flags);
        bytes.extend_from_slice(fixed);
        Self(bytes)
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        put_attribute(&mut self.0, kind, value);
        self
    }

    /// Sends it, and passes the type and the payload of each message of the response to `each`.
    ///
    /// # Errors
    /// The error number of the kernel, if it refuses.
    fn send(mut self, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        let len = u32::try_from(self.0.len()).map_err(io::Error::other)?;
        NetlinkBuffer::new(&mut self.0[..]).set_length(len);
        let socket = open(SocketFlags::empty(), 0)?;
        send(&socket, &self.0, SendFlags::empty())?;
        let mut buffer = vec![0; LIST_BYTES];
        loop {
            let (len, _) = match recv(&socket, &mut buffer[..], RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                received => received?,
            };
            for message in messages(buffer.get(..len).unwrap_or_default()) {
                match message.message_type() {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return outcome(message.payload()),
                    kind => each(kind, message.payload()),
                }
            }
        }
    }

    /// Sends a request for a change, which the kernel acknowledges.
    ///
    /// # Errors
    /// The error number of the kernel, if it refuses.
    fn order(kind: u16, flags: u16, fixed: &[u8], attributes: &[(u16, &[u8])]) -> io::Result<()> {
        let request = Self::new(kind, NLM_F_ACK | flags, fixed);
        let add = |request: Self, (kind, value): &(u16, &[u8])| request.attribute(*kind, value);
        attributes.iter().fold(request, add).send(|_, _| {})
    }
}

/// Length, type, value and padding.
fn put_attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // All values are numbers, and names of bounded length.
    let len = u16::try_from(value.len().saturating_add(ATTRIBUTE_BYTES)).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&len.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// Type and value of each attribute, up to the first that is truncated.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).filter_map(|attribute| {
        let (kind, len) = (attribute.kind(), usize::from(attribute.length()));
        Some((kind, attribute.into_inner().get(ATTRIBUTE_BYTES..len)?))
    })
}

/// A text that ends with a zero byte, as names do.
fn text(value: &[u8]) -> String {
    let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// `struct nlmsgerr` begins with the negative number of an error; zero acknowledges.
fn outcome(payload: &[u8]) -> io::Result<()> {
    match payload.first_chunk().map_or(0, |number| i32::from_ne_bytes(*number)) {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number.saturating_neg())),
    }
}

/// The messages of a datagram, up to the first that is truncated.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(datagram).ok()?;
        let len = (message.length() as usize).next_multiple_of(ALIGNMENT);
        datagram = datagram.get(len..).unwrap_or_default();
        Some(message)
    })
}

/// A socket that receives the messages of these groups.
fn open(flags: SocketFlags, groups: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | flags;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as the kernel sends it.
    pub(super) fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let Request(mut bytes) = Request::new(kind, 0, payload);
        let len = u32::try_from(bytes.len()).unwrap();
        NetlinkBuffer::new(&mut bytes[..]).set_length(len);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes
    }

    #[test]
    fn attributes_are_padded_and_read_back() {
        let mut bytes = Vec::new();
        put_attribute(&mut bytes, 1, b"bpf\0");
        put_attribute(&mut bytes, 3, b"v0\0");
        assert_eq!(bytes.len(), 16);
        let read: Vec<(u16, &[u8])> = attributes(&bytes).collect();
        assert_eq!(read, [(1, &b"bpf\0"[..]), (3, b"v0\0")]);
        assert_eq!(attributes(&bytes[..13]).count(), 1, "one is cut off");
        assert_eq!(text(b"v0\0\0"), "v0");
    }

    #[test]
    fn a_refusal_has_the_kernels_reason() {
        let refused = outcome(&(-1_i32).to_ne_bytes()).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(1));
        assert!(outcome(&[0; 20]).is_ok() && outcome(&[]).is_ok());
    }
}
