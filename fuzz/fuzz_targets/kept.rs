//! Any bytes as a pair that was stored, and what comparing it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mirror_compare::comparison::{Comparison, Options};
use mirror_compare::kept::{Kept, bytes};

fuzz_target!(|data: &[u8]| {
    let Ok(kept) = Kept::read(data) else { return };
    let again = bytes(&kept.pair());
    let kept = Kept::read(&again).expect("what was written is read");
    let mut comparison = Comparison::new(Options {
        details: true,
        diffy: Some(Default::default()),
        ..Options::default()
    });
    let finding = comparison.push_for(&kept.pair(), u64::from(data.len() as u32));
    assert_eq!(bytes(&kept.pair()), again);
    let report = comparison.report();
    assert_eq!(report.pairs, data.len() as u64);
    assert!(serde_json::to_string(&*finding).is_ok() && serde_json::to_string(&report).is_ok());
});
