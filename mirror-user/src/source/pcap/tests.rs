use std::io::{self, Cursor, Write};

use proptest::prelude::*;

use super::*;

/// Bytes in one of the two orders, put together field by field.
#[derive(Clone, Default)]
struct Wire {
    bytes: Vec<u8>,
    big_endian: bool,
}

impl Wire {
    fn new(big_endian: bool) -> Self {
        Self { bytes: Vec::new(), big_endian }
    }

    fn u16(mut self, n: u16) -> Self {
        let bytes = if self.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        self.bytes.extend(bytes);
        self
    }

    fn u32(mut self, n: u32) -> Self {
        let bytes = if self.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        self.bytes.extend(bytes);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn padded(self, bytes: &[u8]) -> Self {
        let padding = bytes.len().next_multiple_of(4) - bytes.len();
        self.raw(bytes).raw(&[0; 3][..padding])
    }

    /// A pcap file header.
    fn pcap(self, magic: u32, link: u32) -> Self {
        self.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(link)
    }

    fn record(self, seconds: u32, fraction: u32, data: &[u8]) -> Self {
        let len = data.len() as u32;
        self.u32(seconds).u32(fraction).u32(len).u32(len + 10).raw(data)
    }

    fn block(self, kind: u32, body: Self) -> Self {
        let len = body.bytes.len() as u32 + 12;
        self.u32(kind).u32(len).raw(&body.bytes).u32(len)
    }

    fn body(&self) -> Self {
        Self::new(self.big_endian)
    }

    fn section(self) -> Self {
        let body = self.body().u32(0x1a2b_3c4d).u16(1).u16(0).u32(u32::MAX).u32(u32::MAX);
        self.block(0x0a0d_0d0a, body)
    }

    fn interface(self, link: u16, options: Options<'_>) -> Self {
        let mut body = self.body().u16(link).u16(0).u32(65535);
        for (code, value) in options {
            body = body.u16(*code).u16(value.len() as u16).padded(value);
        }
        self.block(1, body)
    }

    fn enhanced(self, interface: u32, ticks: u64, data: &[u8]) -> Self {
        let body = self.body().u32(interface).u32((ticks >> 32) as u32).u32(ticks as u32);
        let body = body.u32(data.len() as u32).u32(data.len() as u32 + 10).padded(data);
        self.block(6, body)
    }

    fn open(&self) -> anyhow::Result<FileSource> {
        FileSource::from_reader("some/day.pcap", Box::new(Cursor::new(self.bytes.clone())))
    }

    fn packets(&self) -> Vec<Packet> {
        let (packets, source) = drain(self.open().unwrap());
        assert_eq!(source.warnings(), Vec::<String>::new());
        packets
    }
}

/// The options of an interface: codes and values.
type Options<'a> = &'a [(u16, &'a [u8])];

fn drain(source: FileSource) -> (Vec<Packet>, FileSource) {
    let (packets, source) = drain_rest(source);
    let account = source.account();
    assert!(account.balances(), "{account}");
    assert_eq!(account.delivered, packets.len() as u64);
    (packets, source)
}

fn drain_rest(mut source: FileSource) -> (Vec<Packet>, FileSource) {
    let mut packets = Vec::new();
    while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
        packets.push(packet);
    }
    (packets, source)
}

fn times(packets: &[Packet]) -> Vec<u64> {
    packets.iter().map(|packet| packet.at.as_nanos()).collect()
}

#[test]
fn pcap_is_read_in_both_byte_orders_and_units() {
    for big_endian in [false, true] {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let file = Wire::new(big_endian).pcap(magic, 1);
            let packets = file.record(5, 7, b"one").record(6, 8, b"").packets();
            assert_eq!(times(&packets), [5_000_000_000 + 7 * unit, 6_000_000_000 + 8 * unit]);
            assert_eq!(packets[0].data, &b"one"[..]);
            assert_eq!((packets[0].wire_len, packets[0].link), (13, LinkType::Ethernet));
        }
    }
}

#[test]
fn the_modified_pcap_format_is_read() {
    for big_endian in [false, true] {
        let record = |file: Wire, data: &[u8]| {
            let len = data.len() as u32;
            file.u32(5).u32(7).u32(len).u32(len).raw(&[0; 8]).raw(data)
        };
        let file = Wire::new(big_endian).pcap(0xa1b2_cd34, 1);
        let packets = record(record(file, b"one"), b"two").packets();
        assert_eq!(times(&packets), [5_000_007_000; 2]);
        assert_eq!(packets[1].data, &b"two"[..]);
    }
}

#[test]
fn the_upper_half_of_the_link_type_is_something_else() {
    let file = Wire::new(false).pcap(0xa1b2_c3d4, 0x1400_0071);
    assert_eq!(file.record(0, 0, b"x").packets()[0].link, LinkType::LinuxSll);
}

/// Apple's own programs write the number that macOS has for it.
#[test]
fn both_numbers_of_pktap_are_known() {
    for number in [149, 258] {
        let file = Wire::new(false).pcap(0xa1b2_c3d4, number);
        assert_eq!(file.record(0, 0, b"x").packets()[0].link, LinkType::Pktap);
    }
}

#[test]
fn sections_have_their_own_byte_order_and_interfaces() {
    let mut file = Wire::new(false).section().interface(1, &[(2, b"eth0")]);
    file = file.enhanced(0, 1, b"one");
    file.big_endian = true;
    file = file.section().interface(101, &[(2, b"tun0"), (9, &[9])]);
    file = file.interface(1, &[(2, b"eth0\0")]).enhanced(0, 2, b"two").enhanced(1, 3, b"three");
    let (packets, source) = drain(file.open().unwrap());
    assert_eq!(source.interfaces(), ["eth0", "tun0"]);
    let seen: Vec<_> = packets.iter().map(|p| (p.interface.0, p.link, p.at.as_nanos())).collect();
    assert_eq!(
        seen,
        [(0, LinkType::Ethernet, 1000), (1, LinkType::RawIp, 2), (0, LinkType::Ethernet, 3000)]
    );
}

#[test]
fn timestamps_follow_resolution_and_offset() {
    let second = 1_000_000_000;
    let offset = (-100_i64).to_be_bytes();
    let cases: [(Options<'_>, u64, u64); 7] = [
        (&[], 3_000_001, 3 * second + 1000),
        (&[(9, &[9])], 3_000_000_001, 3 * second + 1),
        (&[(9, &[0])], 3, 3 * second),
        (&[(9, &[12])], 3_000_000_001_500, 3 * second + 1),
        (&[(9, &[0x80 | 10])], 3 * 1024 + 512, 3 * second + second / 2),
        (&[(9, &[6]), (14, &offset)], 103_000_000, 3 * second),
        // Each of these makes other readers give up: if_tzone, a broken option, no end mark.
        (&[(10, &[0, 0, 0, 0]), (9, &[9]), (3, b"\xff\xfe")], 7, 7),
    ];
    for (options, ticks, nanos) in cases {
        let file = Wire::new(true).section().interface(1, options).enhanced(0, ticks, b"x");
        assert_eq!(times(&file.packets()), [nanos], "{options:?}");
    }
    for exponent in 0..=255 {
        let file = Wire::new(true).section().interface(1, &[(9, &[exponent])]);
        assert_eq!(file.enhanced(0, u64::MAX, b"x").packets().len(), 1);
    }
}

#[test]
fn simple_and_obsolete_packet_blocks_are_read_and_unknown_blocks_left_out() {
    let file = Wire::new(false).section().interface(1, &[]);
    let unknown = file.body().raw(&vec![1; 3 * chunk::CHUNK_BYTES]);
    let simple = file.body().u32(3).padded(b"one");
    let obsolete = file.body().u16(0).u16(9).u32(0).u32(4).u32(3).u32(3).padded(b"two");
    let file = file.block(5, unknown).block(2, obsolete).block(3, simple);
    let packets = file.enhanced(0, 5, b"three").packets();
    let data: Vec<_> = packets.iter().map(|packet| packet.data.to_vec()).collect();
    assert_eq!(data, [b"two".to_vec(), b"one".to_vec(), b"three".to_vec()]);
    // A simple packet has no time; that of the packet before keeps the order.
    assert_eq!(times(&packets), [4000, 4000, 5000]);
}

#[test]
fn an_unsupported_interface_among_others_is_counted_and_alone_is_an_error() {
    let file = Wire::new(false).section().interface(105, &[]).interface(1, &[]);
    let file = file.enhanced(0, 1, b"wlan").enhanced(1, 2, b"eth").enhanced(7, 3, b"nobody");
    let (packets, source) = drain(file.open().unwrap());
    assert_eq!(packets.len(), 1);
    let dropped = source.account().losses();
    assert_eq!(dropped, [("unsupported_link", 1), ("unknown_interface", 1)]);
    assert!(source.warnings()[0].contains("1 packets of interfaces with an unsupported link type"));

    let alone = Wire::new(false).section().interface(105, &[]).enhanced(0, 1, b"wlan");
    let error = alone.open().unwrap().next(Duration::ZERO).unwrap_err().to_string();
    assert!(
        error.starts_with("some/day.pcap: link type 105 (IEEE802_11) is not supported"),
        "{error}"
    );

    let pcap = Wire::new(false).pcap(0xa1b2_c3d4, 127);
    let error = pcap.open().err().unwrap().to_string();
    assert!(error.contains("link type 127 (IEEE802_11_RADIOTAP) is not supported"), "{error}");
}

#[test]
fn what_is_no_capture_is_refused_by_name() {
    let refused =
        |bytes: &[u8]| format!("{:#}", Wire::default().raw(bytes).open().err().expect("an error"));
    assert!(refused(b"").starts_with("some/day.pcap: it is empty"));
    assert!(refused(b"GET / HTTP/1.1").contains("neither pcap nor pcapng; give a file that"));
    assert!(refused(b"\xd4\xc3").contains("neither pcap nor pcapng"));
    assert!(refused(b"\xd4\xc3\xb2\xa1\x02").contains("it ends within its file header"));
    assert!(refused(b"\x0a\x0d\x0d\x0a12345678").contains("its section header is not valid"));
    let missing = FileSource::open("/nowhere/day.pcap").err().unwrap().to_string();
    assert!(missing.starts_with("/nowhere/day.pcap: No such file"), "{missing}");
}

fn two_formats() -> [Wire; 2] {
    let data = |n: u8| vec![n; 20 + usize::from(n)];
    let mut pcap = Wire::new(false).pcap(0xa1b2_c3d4, 1);
    let mut ng = Wire::new(true).section().interface(1, &[(2, b"eth0"), (0, b"")]);
    for n in 0..5 {
        pcap = pcap.record(u32::from(n), 0, &data(n));
        ng = ng.enhanced(0, u64::from(n), &data(n));
    }
    [pcap, ng]
}

#[test]
fn a_file_cut_anywhere_gives_what_it_holds_and_a_warning() {
    for whole in two_formats() {
        let all = whole.packets();
        let mut most = 0;
        for kept in 0..whole.bytes.len() {
            let cut = Wire { bytes: whole.bytes[..kept].to_vec(), ..whole.clone() };
            let Ok(source) = cut.open() else {
                assert_eq!(most, 0, "cut at {kept}");
                continue;
            };
            let (packets, source) = drain(source);
            for (packet, expected) in packets.iter().zip(&all) {
                assert_eq!(packet.data, expected.data);
            }
            assert!(packets.len() >= most);
            most = packets.len();
            let is_between_records = source.account().losses().is_empty();
            assert_eq!(source.warnings().is_empty(), is_between_records);
            if !is_between_records {
                let warning = source.warnings().concat();
                assert!(warning.contains("cut short in its last record"), "{warning}");
                assert_eq!(source.account().losses(), [("cut_short", 1)]);
            }
        }
        assert_eq!(most, 4);
    }
}

#[test]
fn a_gzip_file_is_unpacked_and_warned_of_when_cut() {
    let [whole, _] = two_formats();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&whole.bytes).unwrap();
    let mut packed = Wire { bytes: packer.finish().unwrap(), ..whole.clone() };
    assert_eq!(packed.packets().len(), 5);
    packed.bytes.truncate(packed.bytes.len() - 1);
    let (_, source) = drain(packed.open().unwrap());
    assert!(source.warnings()[0].contains("cut short"), "{:?}", source.warnings());
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn what_is_wrong_behind_the_packed_packets_is_a_warning() {
    let [whole, _] = two_formats();
    let packed = gzipped(&whole.bytes);
    let mut checksum = packed.clone();
    let last = checksum.len() - 5;
    checksum[last] ^= 1;
    let (half, rest) = whole.bytes.split_at(50);
    let cases = [
        ([&packed[..], &[0; 700]].concat(), ""),
        ([gzipped(half), gzipped(rest)].concat(), ""),
        ([&packed[..], b"and some text"].concat(), "not compressed stands behind"),
        (checksum, "checksum is wrong"),
    ];
    for (bytes, warning) in cases {
        let (packets, source) = drain(Wire { bytes, ..whole.clone() }.open().unwrap());
        assert_eq!(packets.len(), 5, "{warning}");
        assert_eq!(source.account().losses(), [], "{warning}");
        let warnings = source.warnings().concat();
        assert!(warnings.contains(warning), "{warnings}");
        assert_eq!(warnings.is_empty(), warning.is_empty(), "{warnings}");
    }
}

#[test]
fn a_zstd_file_is_unpacked_and_warned_of_when_cut() {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let [whole, _] = two_formats();
    let pack = |bytes: &[u8]| compress_to_vec(bytes, CompressionLevel::Fastest);
    let (half, rest) = whole.bytes.split_at(50);
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
    let frames = [&skippable[..], &pack(half), &pack(rest)].concat();
    let mut packed = Wire { bytes: frames, ..whole.clone() };
    assert_eq!(packed.packets().len(), 5);
    packed.bytes.truncate(packed.bytes.len() - 20);
    let (_, source) = drain(packed.open().unwrap());
    assert!(!source.warnings().is_empty());
    assert_eq!(source.account().losses(), [("cut_short", 1)]);
}

#[test]
fn other_formats_are_refused_by_name() {
    let erf = [0, 0, 0, 0, 1, 2, 3, 0x60, 2, 4, 0, 88, 0, 0, 0, 70, 0, 0];
    for (bytes, name) in [
        (&b"\xfd7zXZ\0\0\x04"[..], "xz -d"),
        (b"BZh91AY&SY", "bzip2 -d"),
        (b"\x04\x22\x4d\x18\x64\x40", "lz4 -d"),
        (b"snoop\0\0\0\0\0\0\x02\0\0\0\x04", "snoop capture"),
        (&erf, "ERF capture"),
    ] {
        for bytes in [bytes.to_vec(), gzipped(bytes)] {
            let error = Wire::default().raw(&bytes).open().err().unwrap().to_string();
            assert!(error.contains(name) && error.contains("some/day.pcap"), "{error}");
        }
    }
}

#[test]
fn a_damaged_length_ends_the_file_with_a_warning() {
    let file = Wire::new(false).pcap(0xa1b2_c3d4, 1).record(1, 0, b"one");
    let file = file.u32(2).u32(0).u32(0x7fff_ffff).u32(3).raw(b"two");
    let (packets, source) = drain(file.open().unwrap());
    assert_eq!(packets.len(), 1);
    assert_eq!(source.account().losses(), [("corrupt", 1)]);
    assert!(source.warnings()[0].contains("damaged at byte 43"), "{:?}", source.warnings());
}

/// Gives as little at a time as it may, as a pipe does.
struct Trickle(Vec<u8>, usize, usize);

impl Read for Trickle {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Self(bytes, at, step) = self;
        let n = (*step).min(into.len()).min(bytes.len() - *at);
        into[..n].copy_from_slice(&bytes[*at..*at + n]);
        *at += n;
        Ok(n)
    }
}

#[test]
fn a_pipe_gives_the_same_packets_however_it_is_filled() {
    for whole in two_formats() {
        let all: Vec<_> = whole.packets().into_iter().map(|packet| packet.data).collect();
        for step in [1, 3, 16, 100, 100_000] {
            let reader = Trickle(whole.bytes.clone(), 0, step);
            let (packets, _) = drain(FileSource::from_reader("-", Box::new(reader)).unwrap());
            assert_eq!(packets.into_iter().map(|packet| packet.data).collect::<Vec<_>>(), all);
        }
    }
}

#[test]
fn a_pipe_without_bytes_is_idle_and_goes_on() {
    for whole in two_formats() {
        // A block that is left out comes in pieces, too.
        let unknown = whole.body().raw(&[0; 100]);
        let whole = if whole.big_endian { whole.block(5, unknown) } else { whole };
        let all: Vec<_> = whole.packets().into_iter().map(|packet| packet.data).collect();
        let (reader, mut writer) = io::pipe().unwrap();
        let (head, tail) = whole.bytes.split_at(28);
        writer.write_all(head).unwrap();
        let mut source = FileSource::from_reader("-", Box::new(Pipe(reader))).unwrap();
        let mut seen = Vec::new();
        for part in tail.chunks(50) {
            // All that is there is read before the pipe is found empty.
            loop {
                match source.next(Duration::ZERO).unwrap() {
                    Next::Packet(packet) => seen.push(packet.data),
                    Next::Idle => break,
                    Next::Again(_) | Next::End => panic!("ended while the pipe is open"),
                }
            }
            writer.write_all(part).unwrap();
        }
        drop(writer);
        let (rest, source) = drain_rest(source);
        seen.extend(rest.into_iter().map(|packet| packet.data));
        assert_eq!(seen, all);
        assert_eq!(source.warnings(), Vec::<String>::new());
    }
}

#[test]
fn packets_across_and_beyond_chunks_are_whole() {
    for hold in [true, false] {
        let mut file = Wire::new(false).pcap(0xa1b2_c3d4, 1);
        let sizes = [10, 200_000, chunk::CHUNK_BYTES, 300_000, 3_000_000, 1, 65_536, 262_144];
        for round in 0..4 {
            for (n, size) in sizes.iter().enumerate() {
                file = file.record(round, n as u32, &vec![(n as u8) ^ (round as u8); *size]);
            }
        }
        let mut source = file.open().unwrap();
        let mut held = Vec::new();
        for round in 0..4_u8 {
            for (n, size) in sizes.iter().enumerate() {
                let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() else {
                    panic!("packet {n} of round {round} is missing");
                };
                assert_eq!(packet.data.len(), *size);
                assert!(packet.data.iter().all(|byte| *byte == n as u8 ^ round));
                if hold {
                    held.push((packet, n as u8 ^ round));
                }
            }
        }
        assert!(matches!(source.next(Duration::ZERO).unwrap(), Next::End));
        // A chunk is not filled again while somebody holds a slice of it.
        assert!(held.iter().all(|(packet, value)| packet.data.iter().all(|byte| byte == value)));
    }
}

#[test]
fn a_failing_disk_is_an_error_after_what_was_read() {
    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::Error::other("the disk is on fire")),
                n => Ok(n),
            }
        }
    }
    let file = Wire::new(false).pcap(0xa1b2_c3d4, 1).record(1, 0, b"one");
    let reader = Failing(Cursor::new(file.bytes));
    let mut source = FileSource::from_reader("day.pcap", Box::new(reader)).unwrap();
    assert!(matches!(source.next(Duration::ZERO), Ok(Next::Packet(_))));
    let error = format!("{:#}", source.next(Duration::ZERO).unwrap_err());
    assert_eq!(error, "day.pcap: reading failed at byte 43: the disk is on fire");
}

proptest! {
    #[test]
    fn no_damage_panics_or_hangs(
        which in 0usize..2,
        damage in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8),
        tail in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let [pcap, ng] = two_formats();
        let mut file = if which == 0 { pcap } else { ng };
        for (at, value) in damage {
            let at = usize::from(at) % file.bytes.len();
            file.bytes[at] = value;
        }
        file.bytes.extend(tail);
        let len = file.bytes.len() as u64;
        if let Ok(mut source) = file.open() {
            let mut packets = 0;
            while let Ok(Next::Packet(packet)) = source.next(Duration::ZERO) {
                prop_assert!(packet.wire_len as usize >= packet.data.len());
                packets += 1;
                prop_assert!(packets <= len / 12);
            }
            prop_assert!(source.account().balances());
        }
    }
}
