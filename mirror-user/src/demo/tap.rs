//! Production's packets where this host may not capture: what its server read and wrote, as a capture would have it, in a
//! pipe. Raw IPv4, no options, no checksums, as a network card that computes them leaves it.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::tcp::event::Side;

/// Of a pcap file in this host's order of bytes, with raw IP packets.
const FILE: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0xffff, 101];
const IP_BYTES: u16 = 20;
const TCP_BYTES: u16 = 20;
/// Payload of one packet.
const MAX_PAYLOAD: usize = 32 * 1024;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// The writing end of the pipe.
pub(super) struct Tap(Mutex<PipeWriter>);

impl Tap {
    /// The pipe.
    ///
    /// # Errors
    /// If there is none to be had.
    pub(super) fn new() -> io::Result<(PipeReader, Arc<Self>)> {
        let (reader, mut writer) = io::pipe()?;
        FILE.iter().try_for_each(|word| writer.write_all(&word.to_ne_bytes()))?;
        Ok((reader, Arc::new(Self(Mutex::new(writer)))))
    }

    /// Writes a packet; whoever reads no more has seen enough.
    fn write(&self, packet: &[u8]) {
        let now = jiff::Timestamp::now();
        let length = packet.len() as u32;
        let micros = now.subsec_microsecond().unsigned_abs();
        let header = [now.as_second() as u32, micros, length, length];
        let mut record: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
        record.extend_from_slice(packet);
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(&record);
    }
}

/// One connection.
pub(super) struct Tapped {
    tap: Arc<Tap>,
    /// The client's address and port, then the server's.
    ends: [(Ipv4Addr, u16); 2],
    /// The next sequence number of each.
    next: [u32; 2],
}

impl Tapped {
    /// Its handshake; `None` without IPv4.
    pub(super) fn open(tap: Arc<Tap>, client: SocketAddr, server: SocketAddr) -> Option<Self> {
        let end = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) => Some((ip, address.port())),
            IpAddr::V6(_) => None,
        };
        let ends = [end(client)?, end(server)?];
        let mut tapped = Self { tap, ends, next: [1_000, 2_000] };
        tapped.packet(Side::Client, SYN, &[]);
        tapped.packet(Side::Server, SYN | ACK, &[]);
        tapped.packet(Side::Client, ACK, &[]);
        Some(tapped)
    }

    /// What a side sends.
    pub(super) fn send(&mut self, from: Side, bytes: &[u8]) {
        bytes.chunks(MAX_PAYLOAD).for_each(|part| self.packet(from, ACK | PSH, part));
    }

    fn packet(&mut self, from: Side, flags: u8, payload: &[u8]) {
        let [client, server] = self.ends;
        let [of_client, of_server] = &mut self.next;
        let (source, destination, own, other) = match from {
            Side::Client => (client, server, of_client, *of_server),
            Side::Server => (server, client, of_server, *of_client),
        };
        let length = IP_BYTES + TCP_BYTES + payload.len() as u16;
        let acknowledged = if flags & ACK == 0 { 0 } else { other };
        let parts: [&[u8]; 15] = [
            &[0x45, 0],
            &length.to_be_bytes(),
            &[0, 0, 0x40, 0, 64, 6, 0, 0],
            &source.0.octets(),
            &destination.0.octets(),
            &source.1.to_be_bytes(),
            &destination.1.to_be_bytes(),
            &own.to_be_bytes(),
            &acknowledged.to_be_bytes(),
            &[0x50],
            &[flags],
            &u16::MAX.to_be_bytes(),
            &[0, 0],
            &[0, 0],
            payload,
        ];
        let numbers = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        *own = own.wrapping_add(numbers);
        self.tap.write(&parts.concat());
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.packet(Side::Client, FIN | ACK, &[]);
        self.packet(Side::Server, FIN | ACK, &[]);
    }
}
