//! Hooks of a live run, whose process can start no program once it is confined.

use std::fs;

use crate::support::netns::{CABLE, Lab, Mirror, patience, until};
use crate::support::target::{Behaviour, Target};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_confined_run_has_its_commands_run_by_a_helper() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Answer);
        let (config, told) = (lab.path("mirror.yaml"), lab.path("told"));
        // A file that the confined process may not write itself.
        let tell = format!("[sh, -c, 'echo $MIRROR_HOOK >> {}']", told.display());
        let text = format!(
            "version: 1\nsource: {{ from: {CABLE}, ports: 8080 }}\ntargets: {{ it: {{ url: \"{}\" }} }}\n\
             hooks: {{ before-run: {tell}, on-ready: {tell}, after-run: {tell} }}\n",
            target.url()
        );
        fs::write(&config, text).unwrap();
        let mirror = Mirror::start(lab, &["run", "--json", "--config", config.to_str().unwrap()]);
        let said = || fs::read_to_string(&told).unwrap_or_default();
        until("it is ready", || said() == "before-run\non-ready\n");
        drop(lab.curl(&["http://10.77.0.1:8080/"]));
        target.wait_for(1, patience());
        drop(mirror.summary());
        assert_eq!(said(), "before-run\non-ready\nafter-run\n");
    });
}
