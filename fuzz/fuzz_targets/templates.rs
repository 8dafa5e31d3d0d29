//! Any targets: endpoints are bounded, and a target has one name until a place of paths becomes a name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mirror_compare::endpoint::Endpoints;

fuzz_target!(|targets: Vec<&str>| {
    let mut endpoints = Endpoints::default();
    for target in targets {
        let name = endpoints.name("GET", target);
        if !endpoints.take_renamed() {
            assert_eq!(endpoints.name("GET", target), name);
        }
        let _ = endpoints.renamed(&name);
    }
});
