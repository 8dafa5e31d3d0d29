use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};

use super::*;
use crate::packet::{InterfaceId, LinkType, Timestamp};
use crate::source::pcap::FileSource;
use crate::source::{Next, PacketSource};

fn packet(n: u64, link: LinkType, data: Vec<u8>) -> Packet {
    let wire_len = data.len() as u32;
    let at = Timestamp::from_nanos(1_700_000_000_000_000_001 + n);
    Packet { at, link, interface: InterfaceId(0), wire_len, data: Bytes::from(data) }
}

/// An Ethernet frame with right checksums, from port 40000 to `port`.
fn frame(port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [3; 6]).ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64);
    let mut bytes = Vec::new();
    builder.tcp(40000, port, 7, 500).ack(1).psh().write(&mut bytes, payload).unwrap();
    bytes
}

fn frame6(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [3; 6]).ipv6([1; 16], [2; 16], 64);
    let mut bytes = Vec::new();
    builder.tcp(40000, 8080, 7, 500).ack(1).psh().write(&mut bytes, payload).unwrap();
    bytes
}

/// Puts the folded sum of the pseudo-header where the checksum of the segment at `tcp` belongs.
fn make_partial(bytes: &mut [u8], addresses: std::ops::Range<usize>, tcp: usize) {
    let len = (bytes.len() - tcp) as u32;
    let mut sum = 6 + len;
    for pair in bytes[addresses].chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair[1]);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[tcp + 16..tcp + 18].copy_from_slice(&(sum as u16).to_be_bytes());
}

fn names() -> Vec<String> {
    vec!["eth0".to_owned(), "lo".to_owned()]
}

fn read_back(path: &PathBuf) -> (Vec<Packet>, Vec<String>) {
    let mut source = FileSource::open(path).unwrap();
    let mut packets = Vec::new();
    while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
        packets.push(packet);
    }
    assert_eq!(source.warnings(), Vec::<String>::new());
    (packets, source.interfaces().to_vec())
}

fn record(path: &PathBuf, packets: &[Packet]) {
    let mut recorder = Recorder::create(path, SNAPLEN_BYTES).unwrap();
    for packet in packets {
        recorder.write(packet, &names()).unwrap();
    }
    recorder.finish().unwrap();
    assert_eq!(recorder.account().delivered, packets.len() as u64);
}

/// The properties that must be read back.
fn essence(packet: &Packet) -> (Timestamp, LinkType, u32, Bytes) {
    (packet.at, packet.link, packet.wire_len, packet.data.clone())
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["day.pcap", "day.pcapng"] {
        let path = folder.path().join(name);
        let mut cut = packet(2, LinkType::Ethernet, frame(8080, b"GET / HTTP/1.1\r\n"));
        cut.data.truncate(60);
        let large = packet(3, LinkType::Ethernet, vec![0; SNAPLEN_BYTES as usize]);
        let packets = [packet(1, LinkType::Ethernet, frame(8080, b"GET")), cut, large];
        record(&path, &packets);
        let (again, interfaces) = read_back(&path);
        assert_eq!(again.iter().map(essence).collect::<Vec<_>>(), packets.each_ref().map(essence));
        let expected = if name == "day.pcap" { "" } else { "eth0" };
        assert_eq!(interfaces, [expected]);
    }
}

#[test]
fn a_file_without_packets_is_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["day.pcap", "day.pcapng"] {
        let path = folder.path().join(name);
        record(&path, &[]);
        assert_eq!(read_back(&path).0.len(), 0);
    }
}

#[test]
fn a_packet_beyond_the_snaplen_is_cut_and_keeps_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.pcap");
    let mut recorder = Recorder::create(&path, 64).unwrap();
    let whole = packet(1, LinkType::Ethernet, frame(8080, &[b'x'; 100]));
    recorder.write(&whole, &names()).unwrap();
    recorder.finish().unwrap();
    let (again, _) = read_back(&path);
    assert_eq!((again[0].data.len(), again[0].wire_len), (64, whole.wire_len));
}

#[test]
fn pcapng_keeps_interfaces_and_link_types_and_pcap_refuses_a_second_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.pcapng");
    let on_lo = Packet {
        interface: InterfaceId(1),
        ..packet(2, LinkType::RawIp, frame(8080, b"b").split_off(14))
    };
    let packets = [packet(1, LinkType::Ethernet, frame(8080, b"a")), on_lo];
    record(&path, &packets);
    let (again, interfaces) = read_back(&path);
    assert_eq!(interfaces, names());
    assert_eq!(again[1].link, LinkType::RawIp);

    let path = folder.path().join("day.pcap");
    let mut recorder = Recorder::create(&path, SNAPLEN_BYTES).unwrap();
    recorder.write(&packets[0], &names()).unwrap();
    let error = recorder.write(&packets[1], &names()).unwrap_err().to_string();
    assert!(error.ends_with("write a .pcapng instead"), "{error}");
    assert_eq!(recorder.account().losses(), [("other_link_type", 1)]);
}

#[test]
fn a_partial_checksum_is_completed_and_any_other_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.pcap");
    let (right, right6) = (frame(8080, b"GET / HTTP/1.1\r\n\r\n!"), frame6(b"GET / HTTP/1.1\r\n"));
    let (mut partial, mut partial6) = (right.clone(), right6.clone());
    make_partial(&mut partial, 26..34, 34);
    make_partial(&mut partial6, 22..54, 54);
    let mut wrong = right.clone();
    wrong[50] ^= 0x55;
    // As the network card gets it for segmentation: the total length is 0.
    let mut large = partial.clone();
    large[16..18].fill(0);
    let sent = [&right, &partial, &right6, &partial6, &wrong, &large];
    let packets: Vec<_> = sent
        .iter()
        .enumerate()
        .map(|(n, bytes)| packet(n as u64, LinkType::Ethernet, (*bytes).clone()))
        .collect();
    record(&path, &packets);
    let written: Vec<_> = read_back(&path).0.into_iter().map(|packet| packet.data).collect();
    assert_eq!(written, [&right, &right, &right6, &right6, &wrong, &right].map(|b| b.clone()));
    assert_ne!(partial, right);
}

#[test]
fn every_payload_has_its_right_checksum() {
    // 65,536 sums include those where the checksum is 0 or equals the partial one.
    for value in (0..=u16::MAX).step_by(7) {
        let right = frame(8080, &value.to_be_bytes());
        let mut partial = right.clone();
        make_partial(&mut partial, 26..34, 34);
        let mut copy = Vec::new();
        let partial = packet(0, LinkType::Ethernet, partial);
        let completed = checksum::complete(&partial, &mut copy).unwrap_or(&partial.data);
        let sliced = SlicedPacket::from_ethernet(completed).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
        let expected = tcp
            .to_header()
            .calc_checksum_ipv4_raw([10, 0, 0, 2], [10, 0, 0, 1], &value.to_be_bytes())
            .unwrap();
        assert_eq!(tcp.checksum(), expected, "payload {value}");
    }
}

#[test]
fn a_full_disk_is_reported_and_counted() {
    for is_pcapng in [false, true] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let file =
            CaptureFile::with_output("day.pcap".to_owned(), Box::new(full), is_pcapng, 65_535);
        let mut recorder = Recorder {
            destination: Destination::from("out"),
            snaplen: SNAPLEN_BYTES,
            series: None,
            file: file.unwrap(),
            written: 0,
            lost: Tally::default(),
            failure: None,
        };
        let large = packet(1, LinkType::Ethernet, frame(8080, &vec![b'x'; 60_000]));
        let mut failures = 0;
        for _ in 0..10 {
            failures += u64::from(recorder.write(&large, &names()).is_err());
        }
        assert_eq!(failures, 1);
        let error = recorder.finish().unwrap_err().to_string();
        assert!(error.starts_with("day.pcap: No space left on device"), "{error}");
        let account = recorder.account();
        assert!(account.is_settled(), "{account}");
        assert_eq!((account.seen, account.delivered), (10, 0));
    }
}

#[test]
fn its_owner_alone_may_read_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.pcap");
    record(&path, &[]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_cannot_be_created_is_refused_by_name() {
    let refused = |path: &str| Recorder::create(path, 1).err().expect("an error").to_string();
    assert!(refused("/nowhere/day.pcap").starts_with("/nowhere/day.pcap: it cannot be created"));
    assert!(refused("day.txt").ends_with("give it one of these names"));
}

fn capture(folder: &std::path::Path, name: &str, packets: &[Packet]) -> PathBuf {
    let path = folder.join(name);
    record(&path, packets);
    path
}

#[test]
#[ignore = "needs tshark: apt-get install tshark"]
fn tshark_reads_the_same_requests_and_right_checksums() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["day.pcap", "day.pcapng"] {
        let body = vec![b'x'; 60_000];
        let head =
            format!("POST /up HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut request = frame(8080, &[head.as_bytes(), &body].concat());
        make_partial(&mut request, 26..34, 34);
        let mut next = frame6(b"GET /next HTTP/1.1\r\nHost: shop\r\n\r\n");
        make_partial(&mut next, 22..54, 54);
        let packets = [request, next].map(|bytes| packet(1, LinkType::Ethernet, bytes));
        let path = capture(folder.path(), name, &packets);
        let output = Command::new("tshark")
            .args(["-n", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"])
            .args(["-d", "tcp.port==8080,http", "-T", "fields", "-E", "separator=/s"])
            .args(["-e", "http.request.method", "-e", "http.request.uri"])
            .args(["-e", "http.content_length", "-e", "tcp.checksum.status", "-r"])
            .arg(&path)
            .output()
            .unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            out.lines().map(str::trim).collect::<Vec<_>>(),
            ["POST /up 60000 1", "GET /next  1"],
            "{err}"
        );
        assert!(output.status.success());
    }
}
