//! From what a service was seen calling to a stub server that answers in place of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::client::{Stub, exchange};
use super::{get, ok};
use crate::support::hello::hello;
use crate::support::wire::{Talk, interleaved};
use crate::support::{Workspace, mirror};

fn order(body: &str) -> String {
    format!(
        "POST /orders HTTP/1.1\r\nHost: live.prod.com\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A customer asks the shop, which asks users, orders, a payment service in TLS and a database. A second customer's host is a
/// service, too, and no business of ours. The shop's shadow calls orders.
fn day() -> Vec<u8> {
    let customer = Talk::between("198.51.100.7:50000", "10.0.0.5:8080")
        .open()
        .client(get("/", "shop"))
        .server(ok("page"))
        .close();
    let users = Talk::between("10.0.0.5:40000", "10.0.0.6:8081")
        .open()
        .client(get("/users/1", "users.internal:8081"))
        .server(ok("ada"))
        .client(get("/users/2", "Users.Internal:8081"))
        .server(ok("bob"))
        .client("DELETE /users/2 HTTP/1.1\r\nHost: users.internal:8081\r\n\r\n")
        .server("HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n")
        .close();
    let orders = Talk::between("10.0.0.5:40001", "203.0.113.9:80")
        .open()
        .client(order("tea"))
        .server(ok("ordered tea"))
        .at_millis(10_000)
        .client(order("milk"))
        .close();
    // In two segments, as a long one comes.
    let hello = hello("api.payments.example");
    let (first, rest) = hello.split_at(100);
    let payments = Talk::between("10.0.0.5:40002", "203.0.113.10:443")
        .open()
        .client(first)
        .client(rest)
        .server(b"\x16\x03\x03\x00\x02\x02\x00")
        .close();
    let database = Talk::between("10.0.0.5:40003", "10.0.0.9:5432")
        .open()
        .client(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
        .server("N")
        .close();
    let elsewhere = Talk::between("198.51.100.7:50001", "203.0.113.77:9000")
        .open()
        .client(get("/", "elsewhere.example"))
        .server(ok("x"))
        .close();
    let shadow = Talk::between("10.0.0.66:40000", "203.0.113.9:80")
        .open()
        .client(order("tea"))
        .server(ok("ordered tea again"))
        .close();
    // And users, but those of its own cluster.
    let shadow_users = Talk::between("10.0.0.66:40001", "10.96.0.99:8081")
        .open()
        .client(get("/users/1", "users.internal:8081"))
        .server(ok("stub"))
        .close();
    let all = [customer, users, orders, payments, database, elsewhere, shadow, shadow_users];
    interleaved(&all)
}

/// The service by its own address, and by the port at which it is called.
const KNOWN: [[&str; 2]; 2] = [["--pod-address", "10.0.0.5"], ["--inbound-port", "8080"]];

fn report(from: &str, flags: &[&str]) -> Value {
    let args = ["inspect", "--json", "--collaborators", "--from", from];
    serde_json::from_str(&mirror(&[&args[..], flags].concat()).exits_with(0).stdout()).unwrap()
}

#[test]
fn services_that_were_called_are_listed_with_what_was_said() {
    let workspace = Workspace::new();
    let from = workspace.file("day.pcap", &day());
    for known in KNOWN {
        let flags = [&known[..], &["--target-address", "10.0.0.66"]].concat();
        let report = report(&from, &flags);
        assert_eq!(report["from"], json!(["10.0.0.5/32"]), "{known:?}");
        let services = report["services"].as_array().unwrap();
        let named: Vec<_> = services.iter().map(|it| (&it["name"], &it["speaks"])).collect();
        let expected = [
            (&json!("10.0.0.9:5432"), &json!("other")),
            (&json!("api.payments.example"), &json!("tls")),
            (&json!("live.prod.com"), &json!("http")),
            (&json!("users.internal:8081"), &json!("http")),
        ];
        assert_eq!(named, expected, "{known:?}");
        let [_, payments, orders, users] = services.as_slice() else { panic!("{services:?}") };
        assert_eq!((&payments["connections"], &payments["requests"]), (&json!(1), &json!(0)));
        assert_eq!(payments["addresses"], json!(["203.0.113.10:443"]));
        assert_eq!(users["methods"], json!({"GET": 2, "DELETE": 1}));
        assert_eq!(users["statuses"], json!({"200": 2, "503": 1}));
        assert!((users["unsafe_share"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(users["connections"], 1);
        assert_eq!((&orders["requests"], &orders["unanswered"]), (&json!(2), &json!(1)));
        assert_eq!(orders["unsafe_share"], 1.0);
        let seconds = report["seconds"].as_f64().unwrap();
        assert!((9.9..10.1).contains(&seconds), "{seconds}");
        let rate = users["per_second"].as_f64().unwrap();
        assert!((rate - 3.0 / seconds).abs() < 1e-9, "{rate}");
        let shared = report["shared"].as_array().unwrap();
        assert_eq!(shared.len(), 1, "{shared:?}");
        assert_eq!(
            (&shared[0]["name"], &shared[0]["requests"]),
            (&json!("live.prod.com"), &json!(1))
        );
    }
}

#[test]
fn a_person_gets_a_table_and_is_warned_of_what_the_shadow_calls() {
    let workspace = Workspace::new();
    let from = workspace.file("day.pcap", &day());
    let config = workspace.file(
        "mirror.yaml",
        b"version: 1\nsource: { from: eth0, ports: 1-65535 }\ntargets: { shadow: { url: \"http://10.0.0.66:8080\" } }\n",
    );
    let args = ["inspect", "--collaborators", "--pod-address", "10.0.0.5", "--from", &from];
    let run = mirror(&[&args[..], &["--config", &config]].concat()).exits_with(0);
    let said = run.stdout();
    for line in [
        "SERVICE",
        "DELETE 1, GET 2; 200 2, 503 1",
        "POST 2; 200 1, none 1",
        "api.payments.example  203.0.113.10:443  tls",
    ] {
        assert!(said.contains(line), "no {line:?} in\n{said}");
    }
    assert!(!said.contains("elsewhere"), "{said}");
    let warned = run.stderr();
    assert!(
        warned.contains("the shadow target calls live.prod.com, which production calls, too: 1 requests, 1 of which"),
        "{warned}"
    );
    // A shadow that calls nobody is no reason to warn.
    let quiet = mirror(&args).exits_with(0).stderr();
    assert!(!quiet.contains("shadow target"), "{quiet}");
}

#[test]
fn what_is_outbound_must_be_known() {
    let workspace = Workspace::new();
    let from = workspace.file("day.pcap", &day());
    let args = ["inspect", "--collaborators", "--from", &from];
    let more = |flags: &[&'static str]| mirror(&[&args[..], flags].concat());
    more(&[]).exits_with(2).complains(&["which connections are outbound?", "--pod-address"]);
    let said = more(&["--inbound-port", "7"]).exits_with(0);
    assert!(said.stdout().contains("no outbound connection was seen"), "{}", said.stdout());
    assert!(said.stderr().contains("say --pod-address"), "{}", said.stderr());
    let stub = workspace.path("stub.yaml");
    let stub = stub.to_str().unwrap();
    let both = ["--pod-address", "10.0.0.5", "--stub-address", "10.96.0.9"];
    mirror(&[&args[..], &both, &["--stub-config", stub, "--kubernetes", stub]].concat())
        .exits_with(2)
        .complains(&["--kubernetes", "give each its own"]);
    fs::write(stub, "mine").unwrap();
    mirror(&[&args[..], &both[..2], &["--stub-config", stub]].concat())
        .exits_with(2)
        .complains(&["stub.yaml", "exists"]);
    let live = ["inspect", "--collaborators", "--side", "client", "--from", "lo", "--port", "1"];
    mirror(&[&live[..], &["--stub-config", "new.yaml"]].concat())
        .exits_with(2)
        .complains(&["lo is no file", "capture first"]);
}

#[test]
fn the_written_configuration_starts_a_stub_that_answers_in_place_of_all_that_was_called() {
    let workspace = Workspace::new();
    let from = workspace.file("day.pcap", &day());
    let path = workspace.path("stub.yaml");
    let config = path.to_str().unwrap();
    let alias = "test.prod.com=live.prod.com";
    for known in KNOWN {
        let flags = ["--stub-config", config, "--alias", alias, "--target-address", "10.0.0.66"];
        report(&from, &[&known[..], &flags].concat());
        let written = fs::read_to_string(&path).unwrap();
        assert!(written.contains("client-nets: [\"10.0.0.5/32\"]"), "{written}");
        let stub = Stub::start(Workspace::new(), &["--config", config]);
        for (request, text) in [
            (get("/users/1", "users.internal:8081"), "ada"),
            (order("tea"), "ordered tea"),
            // The test pod's own name for it.
            (order("tea").replace("live.prod.com", "test.prod.com"), "ordered tea"),
        ] {
            assert_eq!(String::from_utf8_lossy(&exchange(&stub, &request)), ok(text), "{request}");
        }
        // What the service itself answers, and what others call, is no stub.
        for request in [get("/", "shop"), get("/", "elsewhere.example")] {
            let answer = exchange(&stub, &request);
            assert!(answer.starts_with(b"HTTP/1.1 502 "), "{request}");
        }
        drop(stub);
        fs::remove_file(&path).unwrap();
    }
}

/// The pod of a test cluster, as somebody has it.
const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec:\n  selector: {matchLabels: {app: shop}}\n\
    \x20 template:\n    metadata: {labels: {app: shop}}\n    spec:\n      containers: [{name: shop, image: \"shop:1\"}]\n";

#[test]
#[ignore = "needs helm and kubernetes-validate: cargo xtask test"]
fn chart_tools_take_the_objects_that_point_a_pod_at_the_stub() {
    let tool = |name: &str| {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/charts/bin");
        Command::new(tools.join(name))
    };
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command:?}\n{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let workspace = Workspace::new();
    let from = workspace.file("day.pcap", &day());
    let path = workspace.path("stub-objects.yaml");
    let objects = path.to_str().unwrap();
    let flags = ["--kubernetes", objects, "--stub-address", "10.96.0.99", "--alias"];
    report(&from, &[&KNOWN[0][..], &flags, &["test.prod.com=live.prod.com"]].concat());
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("# 10.0.0.9:5432 is called by its address"), "{text}");
    for version in ["1.25", "1.31", "1.37"] {
        let said = run(tool("kubernetes-validate").args(["--strict", "-k", version, objects]));
        for object in ["configmap/mirror-stub", "service/mirror-stub"] {
            assert!(said.contains(&format!("passed for resource {object}")), "{said}");
        }
    }
    // As kubectl reads them, which needs a cluster to say so.
    let json = |file: &str| -> Vec<Value> {
        let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
        let told = run(tool("../python/bin/python").args(["-c", script, file]));
        serde_json::from_str(&told).unwrap()
    };
    let all = json(objects);
    let object = |kind: &str| all.iter().find(|one| one["kind"] == kind).unwrap();
    let ports = object("Service")["spec"]["ports"].clone();
    assert_eq!(
        ports.as_array().unwrap().iter().map(|it| &it["port"]).collect::<Vec<_>>(),
        [80, 443, 8081]
    );
    let data = object("ConfigMap")["data"].clone();
    // The patch for the pod, merged as kubectl does it.
    let patch =
        workspace.file("patch.yaml", data["host-aliases.yaml"].as_str().unwrap().as_bytes());
    let deployment = workspace.file("shop.yaml", DEPLOYMENT.as_bytes());
    let patched = run(tool("kubectl").args([
        "patch",
        "--local",
        "-o",
        "yaml",
        "-f",
        &deployment,
        "--patch-file",
        &patch,
    ]));
    let patched_file = workspace.file("patched.yaml", patched.as_bytes());
    run(tool("kubernetes-validate").args(["--strict", "-k", "1.31", &patched_file]));
    let aliases = &json(&patched_file)[0]["spec"]["template"]["spec"]["hostAliases"];
    let names = ["api.payments.example", "live.prod.com", "test.prod.com", "users.internal"];
    assert_eq!(*aliases, json!([{"ip": "10.96.0.99", "hostnames": names}]));
    // The configuration inside is the stub's, of recordings that are mounted there.
    let stub = workspace.file("stub.yaml", data["stub.yaml"].as_str().unwrap().as_bytes());
    let stub = Stub::start(Workspace::new(), &["--config", &stub, "--from", &from]);
    assert_eq!(exchange(&stub, &order("tea")), ok("ordered tea").as_bytes());
}
