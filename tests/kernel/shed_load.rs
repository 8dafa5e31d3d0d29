//! What no target takes is not captured for long.

use crate::guards::{Busy, says};
use crate::support::netns::{CABLE, Lab, Mirror, until};
use crate::support::scrape::{ADMIN, endpoint};
use crate::support::summary::{account, assert_balance, dropped};
use crate::support::target::{Behaviour, Target};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn less_is_captured_while_the_target_takes_nothing_and_more_again_afterwards() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Hold);
        let to = format!("http://{}", target.address());
        let replay = ["replay", "--json", "--from", CABLE, "--port", "8080", "--to", &to];
        // Some fifty requests may wait.
        let small = ["--max-queue", "64KiB", "--max-connections", "4"];
        let flags = ["--shed-load", "auto", "--min-sample", "10", "--admin", ADMIN];
        let mirror = Mirror::start(lab, &[&replay[..], &small, &flags].concat());
        let busy = Busy::start(lab);
        // On a slow machine because production needs the processors; either way less is captured.
        says(&mirror, "sample lowered to 1 in", 1);
        until("packets are left out", || {
            let metrics = endpoint().get("/metrics").body;
            let left_out = metrics.lines().find(|line| line.contains(r#"reason="load_shed""#));
            left_out.is_some_and(|line| !line.ends_with(" 0"))
        });
        let metrics = endpoint().get("/metrics").body;
        let steps = r#"mirror_guard_sample_steps_total{direction="lowered",cause="targets"} "#;
        assert!(
            metrics.contains(steps) && metrics.contains("mirror_host_idle_ratio "),
            "{metrics}"
        );
        drop(busy);
        target.release();
        says(&mirror, "sample raised", 1);
        let summary = mirror.summary();
        assert_balance(&summary);
        assert!(dropped(&summary, "kernel", "load_shed") > 0, "{summary:#}");
        let (_, delivered, _) = account(&summary, "shadow requests");
        assert!(delivered > 0, "{summary:#}");
        let notes = summary["notes"].to_string();
        assert!(notes.contains(r#"["lowered","#) && notes.contains(r#"["raised","#), "{notes}");
    });
}
