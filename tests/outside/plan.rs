//! What a new file would send that the present one does not, told before it is put in place.

use serde_json::Value;

use crate::support::target::{Behaviour, Target};
use crate::support::wire::Talk;
use crate::support::{Workspace, mirror};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn get(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer abcdef012345\r\n\r\n"
    )
}

fn capture(workspace: &Workspace) -> String {
    let mut talk = Talk::new().open();
    for path in ["/health", "/cart", "/cart/2", "/items"] {
        talk = talk.client(get(path)).server(OK);
    }
    workspace.file("day.pcap", &talk.close().pcap())
}

fn plan(old: &str, new: &str, more: &[&str]) -> String {
    let workspace = Workspace::new();
    let capture = capture(&workspace);
    let old = workspace.file("old.yaml", old.as_bytes());
    let new = workspace.file("new.yaml", new.as_bytes());
    let args = ["run", "--config", &old, "--plan", &new, "--against", &capture];
    mirror(&[&args, more].concat()).exits_with(0).stdout()
}

/// Both live files: nothing of their sources is opened.
fn file(rest: &str) -> String {
    format!("version: 1\nsource: {{ from: nosuch0, ports: [80, 8080], side: server }}\n{rest}")
}

const OLD: &str = "targets: { staging: { url: \"http://staging.invalid\" } }\nrules:\n  \
    - { name: cart, match: { path: { segments: /cart } }, targets: staging }\n";

#[test]
fn requests_that_only_the_new_file_sends_are_counted_by_target_and_rule() {
    let new = file(
        "redact: { preset: credentials }\ntargets:\n  staging: { url: \"http://staging.invalid\" }\n  \
         canary: { url: \"http://canary.invalid\", max-connections: 3 }\nrules:\n  \
         - { name: health, match: { path: { segments: /health } } }\n  \
         - { name: cart, match: { path: { exact: /cart } }, targets: [staging, canary] }\n  \
         - { name: rest, match: { path: { segments: /items } }, targets: staging }\n",
    );
    let json: Value = serde_json::from_str(&plan(&file(OLD), &new, &["--json"])).unwrap();
    assert_eq!((&json["requests"], &json["nowhere"]["now"]), (&4.into(), &2.into()), "{json:#}");
    assert_eq!(json["nowhere"]["then"], 2, "{json:#}");
    let staging = &json["targets"]["staging"];
    for (kind, number) in [("now", 2), ("then", 2), ("new", 1), ("gone", 1), ("altered", 1)] {
        assert_eq!(staging[kind], number, "{kind}: {json:#}");
    }
    assert_eq!(staging["new_by_rule"]["rest"], 1);
    assert_eq!(json["targets"]["canary"]["new_by_rule"]["cart"], 1);
    let text = plan(&file(OLD), &new, &[]);
    for line in [
        "redact.preset   changed; takes effect at once",
        "targets.canary  new: http://canary.invalid",
        "rules.cart      changed",
        "rules.health    new",
        "1 would be new to canary, by rule cart",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}

#[test]
fn a_file_in_place_of_itself_changes_nothing() {
    // Also where requests are drawn at random.
    let rules = OLD.replace("targets: staging", "sample: { percent: 50 }, targets: staging");
    let json: Value =
        serde_json::from_str(&plan(&file(&rules), &file(&rules), &["--json"])).unwrap();
    assert_eq!(json["changes"].as_array().map(Vec::len), Some(0), "{json:#}");
    let staging = &json["targets"]["staging"];
    assert_eq!(staging["now"], staging["then"]);
    for kind in ["new", "gone", "altered"] {
        assert_eq!(staging[kind], 0, "{json:#}");
    }
    assert!(plan(&file(OLD), &file(OLD), &[]).starts_with("The two files say the same."));
}

#[test]
fn what_is_filtered_goes_nowhere_and_settings_tell_when_they_take_effect() {
    let new = file(OLD).replace("[80, 8080]", "[81]").replace("side: server", "ring-size: 16MiB");
    let text = plan(&file(OLD), &new, &[]);
    for line in [
        "source.ring-size  changed; takes effect at the next start",
        "source.ports      changed; takes effect at once",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    let gone: Vec<&str> = text.lines().filter(|line| line.starts_with("  staging")).collect();
    let numbers: Vec<&str> = gone[0].split_whitespace().collect();
    assert_eq!(numbers, ["staging", "2", "0", "0", "2", "0"], "{text}");
}

#[test]
fn nothing_is_sent_and_a_wrong_file_is_told() {
    let target = Target::start(Behaviour::Answer);
    let rules = OLD.replace("http://staging.invalid", &target.url());
    plan(&file(&rules), &file(&rules), &[]);
    assert_eq!(target.received().len(), 0);
    let workspace = Workspace::new();
    let capture = capture(&workspace);
    let old = workspace.file("old.yaml", file(OLD).as_bytes());
    let wrong = workspace.file("wrong.yaml", b"version: 1\n");
    let args = ["run", "--config", &old, "--plan", &wrong, "--against"];
    let told = mirror(&[&args[..], &[&capture]].concat()).exits_with(2).stderr();
    assert!(told.contains("wrong.yaml:1"), "{told}");
    mirror(&[&args[..4], &[&old, "--against", "/nowhere.pcap"]].concat())
        .exits_with(2)
        .complains(&["/nowhere.pcap"]);
    mirror(&["run", "--config", &old, "--plan", &old]).exits_with(2);
}
