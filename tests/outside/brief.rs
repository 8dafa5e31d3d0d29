//! Captures in which only the beginning of each packet of a response is there, on purpose: every request is the same, and so
//! is every response, unless it is said not to be whole.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mirror_user::decode::{Decoder, Limits};
use mirror_user::http::message::{Exchange, Incomplete, Message, Moment};
use mirror_user::http::{HttpOptions, HttpTable};
use mirror_user::segment::Segment;
use mirror_user::source::pcap::FileSource;
use mirror_user::source::{Next, PacketSource};
use mirror_user::tcp::{FlowTable, TcpLimits};

/// A message as it is compared: its start line and headers, the length of its body, and why it is not whole.
type Told = (Vec<u8>, u64, Option<Incomplete>);

fn told(message: &Message) -> Told {
    (message.head.raw.to_vec(), message.body.length, message.incomplete)
}

fn text((head, length, incomplete): &Told) -> String {
    format!("{} {length} {incomplete:?}", String::from_utf8_lossy(head))
}

/// The exchanges of a capture, by their names; `None` if it is no capture that can be read.
fn read(file: &Path, limits: TcpLimits, cut: impl Fn(&mut Segment)) -> Option<Vec<Exchange>> {
    let mut source = FileSource::open(file).ok()?;
    let (mut decoder, mut flows) = (Decoder::new(Limits::default()), FlowTable::new(limits));
    let mut http = HttpTable::new(HttpOptions::default());
    let (mut events, mut exchanges) = (Vec::new(), Vec::new());
    loop {
        match source.next(Duration::ZERO).ok()? {
            Next::Packet(packet) => {
                if let Ok(mut segment) = decoder.push(&packet) {
                    cut(&mut segment);
                    flows.push(segment, &mut events);
                }
                flows.expire(packet.at, &mut events);
            }
            Next::Idle | Next::Again(_) => {}
            Next::End => break,
        }
        events.drain(..).for_each(|event| http.push(event, &mut exchanges));
    }
    flows.finish(&mut events);
    events.drain(..).for_each(|event| http.push(event, &mut exchanges));
    Some(exchanges)
}

/// The requests, and the responses, by the name of their exchange.
fn sides(exchanges: &[Exchange]) -> [BTreeMap<String, Told>; 2] {
    let ended = || exchanges.iter().filter(|exchange| exchange.moment == Moment::Ended);
    let side = |pick: fn(&Exchange) -> Option<&Message>| {
        let name = |exchange: &Exchange| exchange.id.to_string();
        ended().filter_map(|exchange| Some((name(exchange), told(pick(exchange)?)))).collect()
    };
    [side(|one| one.request.as_deref()), side(|one| one.response.as_deref())]
}

/// Compares a capture with itself, with `kept` bytes of each segment of a server. How many responses had bytes left out and
/// are whole nevertheless, and how many are not.
fn compare(file: &Path, kept: usize) -> (usize, usize) {
    let Some(whole) = read(file, TcpLimits::for_files(), |_| {}) else { return (0, 0) };
    let servers: HashSet<_> = whole.iter().map(|one| one.peers.server).collect();
    let clients: HashSet<_> = whole.iter().map(|one| one.peers.client).collect();
    let limits = TcpLimits { brief_responses: true, ..TcpLimits::for_files() };
    let brief = read(file, limits, |segment| {
        let source = segment.source.into();
        let is_servers = servers.contains(&source) && !clients.contains(&source);
        if is_servers && segment.payload.len() > kept {
            segment.cut += (segment.payload.len() - kept) as u32;
            segment.payload.truncate(kept);
        }
    });
    let [requests, responses] = sides(&whole);
    let [brief_requests, brief_responses] = sides(&brief.unwrap());
    // A response without a request has a name as well, so that the names behind it may differ.
    let contents = |requests: &BTreeMap<String, Told>| {
        let mut all: Vec<String> = requests.values().map(text).collect();
        all.sort();
        all
    };
    let (all, brief_all) = (contents(&requests), contents(&brief_requests));
    assert!(all == brief_all, "{}, {kept} bytes: {all:#?} and {brief_all:#?}", file.display());
    let (mut same, mut lost) = (0, 0);
    let named = |name: &String| {
        requests.contains_key(name) && requests.get(name) == brief_requests.get(name)
    };
    for (name, response) in responses.iter().filter(|(name, _)| named(name)) {
        match brief_responses.get(name) {
            Some(brief) if brief == response => same += usize::from(response.1 > kept as u64),
            // Said not to be whole, or not said at all, as where its head was left out.
            Some((_, _, Some(_))) | None => lost += 1,
            Some(brief) => {
                let (response, brief) = (text(response), text(brief));
                panic!("{} {name}, {kept} bytes:\n{response}\n{brief}", file.display());
            }
        }
    }
    (same, lost)
}

fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // More of them where they are there.
    let folders = [root.join("pcaps"), root.join("../shared/corpus/dev")];
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let files = files.map(|entry| entry.path());
    files
        .filter(|file| file.extension().is_some_and(|end| end == "pcap" || end == "pcapng"))
        .collect()
}

#[test]
fn what_is_left_out_of_responses_changes_no_request_and_no_response_in_silence() {
    // Common heads are within the first of them, and every head of all captures within the last.
    for kept in [400, 1_000, 4_000] {
        let (mut same, mut lost) = (0, 0);
        for file in captures() {
            let (more, gone) = compare(&file, kept);
            (same, lost) = (same + more, lost + gone);
        }
        println!("{kept} bytes: {same} whole though bytes were left out, {lost} not");
        assert!(same > 0 && (lost == 0 || kept < 4_000), "{kept} bytes: {same} whole, {lost} not");
    }
}
