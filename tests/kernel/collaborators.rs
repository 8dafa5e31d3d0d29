//! Whom a service calls, seen where it runs.

use std::process::Command;

use serde_json::json;

use crate::support::netns::{CABLE, Lab, Mirror, Shadow, succeed};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_this_host_calls_is_listed_and_what_calls_it_is_not() {
    Lab::run(|lab| {
        lab.start_nginx();
        // It stands on the other host, and is a collaborator here.
        let users = Shadow::start(lab);
        for known in [["--side", "client"], ["--pod-address", "10.77.0.1"]] {
            let flags = ["inspect", "--collaborators", "--json", "--from", CABLE, "--port", "8080"];
            let mirror = Mirror::start(lab, &[&flags[..], &known].concat());
            lab.curl(&["http://10.77.0.1:8080/page"]);
            let curl = ["--silent", "--max-time", "20", "-H", "Host: Users.Internal:8080"];
            let mut curl_here = Command::new("curl");
            succeed(curl_here.args(curl).arg("http://10.77.0.2:8080/nobody"));
            users.has_served("/nobody");
            let report = mirror.summary();
            let services = report["services"].as_array().unwrap();
            assert_eq!(services.len(), 1, "{known:?}: {report:#}");
            let service = &services[0];
            assert_eq!(service["name"], "users.internal:8080");
            assert_eq!(service["addresses"], json!(["10.77.0.2:8080"]));
            assert_eq!((&service["speaks"], &service["requests"]), (&json!("http"), &json!(1)));
            assert_eq!(service["statuses"], json!({"404": 1}));
        }
    });
}
