use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::time::timeout;

use super::{Beside, Outlet, Packets, Pipeline};
use crate::decode::{self, Decoder};
use crate::http::{BodyKeep, HttpOptions, HttpTable, KeepLimits};
use crate::recorder::{Recorder, SNAPLEN_BYTES};
use crate::rules::Rules;
use crate::rules::tag::Marks;
use crate::shutdown::Stop;
use crate::sink::jsonl::JsonLines;
use crate::sink::lines::Lines;
use crate::sink::replay::{self, Pace, ReplayOptions, ReplaySink, WhenFull};
use crate::source::again::RepeatedSource;
use crate::stats::{Seam, Snapshot, SnapshotSlot};
use crate::tcp::{FlowTable, TcpLimits};

use crate::test_target as target;
use target::{Behaviour, Target};

/// Far longer than anything here takes; a test that reaches it has failed.
const LONGEST: Duration = Duration::from_secs(60);

/// How often the captures are read: enough for many snapshots.
const PASSES: u32 = 40;

/// Reads all of `pcaps/` repeatedly, and sends it to a target and a file.
fn pipeline(target: &Target, record: &Path, snapshots: Arc<SnapshotSlot>) -> Pipeline {
    let pcaps = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../pcaps");
    let keep = BodyKeep::Keep(KeepLimits::default());
    let options = HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() };
    let front = Packets::new(
        Box::new(RepeatedSource::open(vec![pcaps], PASSES).unwrap()),
        Decoder::new(decode::Limits::default()),
        FlowTable::new(TcpLimits::default()),
        HttpTable::new(options),
    );
    let front =
        front.recorded_by(Some(Recorder::create(record.to_owned(), SNAPLEN_BYTES).unwrap()));
    let options = ReplayOptions::new(Marks::default(), Pace::Max, WhenFull::Wait);
    let replay = replay::Target::parse(&target.url()).unwrap();
    let replay = ReplaySink::start(replay, options, Stop::default().flag()).unwrap();
    let lines = Lines::new(Box::new(JsonLines { bodies: false }), Box::new(std::io::sink()));
    let outlets = vec![Outlet::of_all(Box::new(replay)), Outlet::of_all(Box::new(lines))];
    let beside = Beside { snapshots, ..Beside::default() };
    Pipeline::new(Box::new(front), Rules::for_targets(), outlets, beside)
}

/// Seams and reasons, without their counts.
fn shape(snapshot: &Snapshot) -> Vec<(Seam, Vec<&'static str>)> {
    let reasons = |dropped: &[(&'static str, u64)]| dropped.iter().map(|(why, _)| *why).collect();
    snapshot.accounts.iter().map(|account| (account.seam, reasons(&account.dropped))).collect()
}

#[test]
fn every_snapshot_of_a_run_balances_and_the_last_one_is_the_summary() {
    let target = Target::start(Behaviour::Answer);
    let folder = tempfile::tempdir().unwrap();
    let slot = Arc::new(SnapshotSlot::default());
    let pipeline = pipeline(&target, &folder.path().join("all.pcapng"), Arc::clone(&slot));
    let ended = Arc::new(AtomicBool::new(false));
    let reader = thread::spawn({
        let (slot, ended) = (Arc::clone(&slot), Arc::clone(&ended));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        move || {
            let mut snapshots = Vec::new();
            while !ended.load(Relaxed) {
                let asked = runtime.block_on(async { timeout(LONGEST, slot.request()).await });
                snapshots.push(asked.expect("the pipeline goes on"));
            }
            snapshots
        }
    });
    let (summary, outcome) = pipeline.run(&Stop::default());
    ended.store(true, Relaxed);
    outcome.unwrap();
    let snapshots = reader.join().unwrap();

    for snapshot in &snapshots {
        for account in &snapshot.accounts {
            assert!(account.balances(), "{account} in {snapshot:?}");
        }
        assert_eq!(shape(snapshot), shape(&summary.snapshot), "everything is there from the start");
    }
    for (before, after) in snapshots.iter().zip(snapshots.iter().skip(1)) {
        for (before, after) in before.accounts.iter().zip(&after.accounts) {
            assert!(before.seen <= after.seen && before.delivered <= after.delivered);
        }
    }
    let moved = |seam| {
        let accounts = snapshots.iter().filter_map(|snapshot| snapshot.account(seam));
        accounts.filter(|account| account.in_flight > 0).count()
    };
    assert!(moved(Seam::ShadowRequests) > 0, "of {} snapshots", snapshots.len());
    assert!(summary.balances(), "{summary}");
    assert_eq!(*slot.latest(), summary.snapshot);
    let replayed = summary.snapshot.account(Seam::ShadowRequests).unwrap();
    assert_eq!(replayed.delivered, target.received().len() as u64);
}
