//! Captures in folders of their own.

use super::*;
use crate::packet::LinkType;
use crate::recorder::{Recorder, SNAPLEN_BYTES};

fn capture(path: PathBuf, times: &[u8]) {
    let mut recorder = Recorder::create(path, SNAPLEN_BYTES).unwrap();
    for time in times {
        let packet = Packet {
            at: Timestamp::from_nanos(u64::from(*time)),
            link: LinkType::Ethernet,
            interface: InterfaceId(0),
            wire_len: 1,
            data: vec![*time].into(),
        };
        recorder.write(&packet, &["eth0".to_owned()]).unwrap();
    }
    recorder.finish().unwrap();
}

#[test]
fn packets_of_several_files_come_in_the_order_of_their_times() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path().join("a.pcap"), &[30, 31]);
    capture(folder.path().join("b.pcapng"), &[10, 40]);
    capture(folder.path().join("c.pcapng"), &[20]);
    capture(folder.path().join("d.pcapng"), &[]);
    std::fs::write(folder.path().join("notes.txt"), "no capture").unwrap();
    let mut source = FolderSource::open(&[folder.path()]).unwrap();
    let reasons = source.account().dropped;
    assert!(!reasons.is_empty() && reasons.iter().all(|(_, n)| *n == 0), "from the start");
    let mut seen = Vec::new();
    while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
        let name = source.interfaces()[packet.interface.0 as usize].clone();
        seen.push((packet.data[0], name));
    }
    let expected = [(10, "eth0"), (20, "eth0"), (30, ""), (31, ""), (40, "eth0")];
    assert_eq!(seen, expected.map(|(n, name)| (n, name.to_owned())));
    assert!(source.account().is_settled());
    assert_eq!(source.account().seen, 5);
    assert_eq!(source.warnings().len(), 1);
}

#[test]
fn a_folder_without_captures_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(&[folder.path()]).err().unwrap().to_string();
    assert!(error.contains("no capture in this folder"), "{error}");
}

#[test]
fn files_and_folders_are_put_in_order_together() {
    let folder = tempfile::tempdir().unwrap();
    let alone = tempfile::tempdir().unwrap();
    capture(folder.path().join("a.pcap"), &[30]);
    capture(folder.path().join("b.pcap"), &[10]);
    let between = alone.path().join("c.pcap");
    capture(between.clone(), &[20]);
    let again = folder.path().join("a.pcap");
    let mut source = open(&[between.as_path(), folder.path(), again.as_path()]).unwrap();
    let mut seen = Vec::new();
    while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
        seen.push(packet.data[0]);
    }
    assert_eq!(seen, [10, 20, 30]);
}

#[test]
fn a_file_that_cannot_be_read_does_not_cost_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    capture(at("a.pcap"), &[10, 30]);
    capture(at("b.pcap"), &[20, 40]);
    let mut damaged = std::fs::read(at("b.pcap")).unwrap();
    let length = damaged.len() - 9;
    damaged[length..length + 4].copy_from_slice(&[0xff; 4]);
    std::fs::write(at("b.pcap"), damaged).unwrap();
    std::fs::write(at("c.pcap"), "no capture").unwrap();
    std::fs::write(at("d.pcap"), "").unwrap();
    let mut source = open(&[folder.path()]).unwrap();
    let mut seen = Vec::new();
    while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
        seen.push(packet.data[0]);
    }
    assert_eq!(seen, [10, 20, 30]);
    assert!(source.account().is_settled());
    let verdict = source.verdict().unwrap_err().to_string();
    assert!(verdict.contains("b.pcap: damaged"), "{verdict}");
    assert!(verdict.contains("c.pcap: it is neither"), "{verdict}");
    assert!(source.warnings()[0].contains("d.pcap: it is empty"), "{:?}", source.warnings());
    let none = open(&[at("c.pcap"), at("nowhere.pcap")]).err().unwrap().to_string();
    assert!(none.contains("c.pcap"), "{none}");
}

#[test]
fn of_files_that_follow_one_another_few_are_open() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..100_u8 {
        capture(folder.path().join(format!("{n}.pcap")), &[2 * n, 2 * n + 1]);
    }
    let mut source = FolderSource::open(&[folder.path()]).unwrap();
    let mut seen = Vec::new();
    while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
        assert!(source.open.len() <= 2, "{}", source.open.len());
        seen.push(packet.data[0]);
    }
    assert_eq!(seen, (0..200).collect::<Vec<u8>>());
}

#[test]
fn of_files_that_overlap_a_bounded_number_is_open() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..100_u8 {
        capture(folder.path().join(format!("{n}.pcap")), &[n, 200]);
    }
    let mut source = FolderSource::open(&[folder.path()]).unwrap();
    let mut seen = 0;
    while let Next::Packet(_) = source.next(Duration::ZERO).unwrap() {
        assert!(source.open.len() <= MAX_MERGED);
        seen += 1;
    }
    assert_eq!(seen, 200);
    assert!(source.warnings()[0].contains("overlap"), "{:?}", source.warnings());
}

#[test]
fn the_standard_input_is_read_alone() {
    let error = open(&["-", "a.pcap"]).err().unwrap().to_string();
    assert!(error.contains("give it alone"), "{error}");
}
