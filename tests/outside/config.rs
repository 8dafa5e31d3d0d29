//! Runs that a file describes: rules, several targets, changes while requests pass.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::target::{Behaviour, RawRequest, Target};
use crate::support::wire::{Talk, interleaved};
use crate::support::{self, Workspace, mirror, mirror_with_input};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const PATIENCE: Duration = Duration::from_secs(20);

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nX-Debug: 1\r\nX-User: ann\r\n\r\n")
}

fn paths(requests: &[RawRequest]) -> Vec<String> {
    requests.iter().map(|request| request.target().to_owned()).collect()
}

/// A file with two targets and these rules, reading from `from`.
fn two_targets(from: &str, first: &Target, second: &Target, rules: &str) -> String {
    format!(
        "version: 1\nsource: {{ from: \"{from}\" }}\ntargets:\n  first: {{ url: \"{}\" }}\n  second:\n    url: \"{}\"\n    \
         host: keep\n    headers:\n      remove: x-debug\n      set: {{ X-User: nobody }}\n      add: {{ Via: mirror }}\n    \
         path-prefix: {{ from: /api, to: /v2 }}\n{rules}",
        first.url(),
        second.url()
    )
}

#[test]
fn each_request_goes_where_the_first_matching_rule_sends_it() {
    let (first, second) = (Target::start(Behaviour::Answer), Target::start(Behaviour::Answer));
    let mut talk = Talk::new().open();
    for path in ["/health", "/api/a?b=1", "/apis", "/both", "/other"] {
        talk = talk.client(get(path)).server(OK);
    }
    let workspace = Workspace::new();
    let packets = workspace.file("talk.pcap", &talk.close().pcap());
    let rules = "rules:\n  \
        - { name: shield, match: { path: { segments: /health } } }\n  \
        - { name: api, match: { path: { prefix: /api } }, targets: second }\n  \
        - { name: both, match: { path: { exact: /both } }, targets: [first, second] }\n  \
        - { name: never, match: { method: GET, host: shop.example, path: { prefix: /o } }, sample: { percent: 0 }, targets: first }\n";
    let config =
        workspace.file("mirror.yaml", two_targets(&packets, &first, &second, rules).as_bytes());
    let run = mirror(&["run", "--config", &config]).exits_with(0);
    assert_eq!(paths(&first.wait_for(1, PATIENCE)), ["/both"]);
    let received = second.wait_for(3, PATIENCE);
    assert_eq!(paths(&received), ["/v2/a?b=1", "/apis", "/both"]);
    let head = String::from_utf8_lossy(&received[0].head).into_owned();
    assert!(head.starts_with("GET /v2/a?b=1 HTTP/1.1\r\nHost: shop.example\r\n"), "{head}");
    assert!(
        head.contains("\r\nX-User: nobody\r\nVia: mirror\r\n") && !head.contains("X-Debug"),
        "{head}"
    );
    assert!(!head.contains("ann"), "{head}");
    for (target, tally) in [(&first, "1 of 1 answered"), (&second, "3 of 3 answered")] {
        let line = format!("target {}: {tally}", target.address());
        assert!(run.stdout().contains(&line), "no {line:?} in {}", run.stdout());
    }
    let run = run
        .says("seen 5 = delivered 3 + shielded 1 + sampled_out 1")
        .says("to first           seen 1 = delivered 1")
        .says("to second          seen 3 = delivered 3")
        .says("shield shielded 1, api 2, both 1, never sampled_out 1");
    assert!(!run.stdout().contains("do not balance"));
}

#[test]
fn a_file_that_is_not_valid_starts_nothing_and_all_that_is_wrong_is_reported() {
    let workspace = Workspace::new();
    let bad = "version: 1\nsource: { from: lo, ports: 8080 }\ntargets:\n  here: { url: http://127.0.0.1:8080, hots: x }\n";
    let config = workspace.file("mirror.yaml", bad.as_bytes());
    for args in [&["config", "check", &config][..], &["run", "--config", &config]] {
        let run = mirror(args).exits_with(2);
        let told = run.stderr();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 2, "{told}");
        assert!(
            lines[0].contains("mirror.yaml:4:3: here: ") && lines[0].contains("captured"),
            "{told}"
        );
        assert!(
            lines[1].contains("mirror.yaml:4:39: hots") && lines[1].contains("`host`"),
            "{told}"
        );
    }
    mirror_with_input(&["config", "check", "-"], b"").exits_with(2);
    mirror(&["config", "schema"]).exits_with(0).says("\"$defs\"");
}

/// A run that reads packets from its standard input.
struct Running {
    child: Child,
    packets: Option<ChildStdin>,
    told: Receiver<String>,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(support::binary())
            .args(args)
            .args(["--log-format", "json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (told_tx, told) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if told_tx.send(line).is_err() {
                    return;
                }
            }
        });
        Self { packets: child.stdin.take(), child, told }
    }

    fn feed(&mut self, packets: &[u8]) {
        let input = self.packets.as_mut().unwrap();
        input.write_all(packets).unwrap();
        input.flush().unwrap();
    }

    /// Waits for this event on standard error.
    fn reports(&self, event: &str) {
        let mut lines = Vec::new();
        while let Ok(line) = self.told.recv_timeout(PATIENCE) {
            let json: serde_json::Value = serde_json::from_str(&line).unwrap();
            if json["event"] == event {
                return;
            }
            lines.push(line);
        }
        panic!("no {event} in {lines:?}");
    }

    /// Ends the input and gives the summary.
    fn end(mut self) -> String {
        drop(self.packets.take());
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn a_changed_file_takes_effect_and_an_invalid_one_does_not() {
    let (first, second) = (Target::start(Behaviour::Answer), Target::start(Behaviour::Answer));
    let workspace = Workspace::new();
    // As Kubernetes mounts a ConfigMap: the file and its folder are links, and the folder is swapped.
    let version = |name: &str, rules: &str| {
        std::fs::create_dir(workspace.path(name)).unwrap();
        let text = two_targets("-", &first, &second, rules);
        workspace.file(&format!("{name}/mirror.yaml"), text.as_bytes());
        symlink(name, workspace.path("..tmp")).unwrap();
        std::fs::rename(workspace.path("..tmp"), workspace.path("..data")).unwrap();
    };
    version("v1", "rules: [{ name: one, targets: first }, ]\n");
    let text = std::fs::read_to_string(workspace.path("..data/mirror.yaml")).unwrap();
    // Every target is named by a rule.
    let text = text.replace(
        "rules: [",
        "rules: [{ name: rare, match: { path: { exact: /rare } }, targets: second }, ",
    );
    std::fs::write(workspace.path("v1/mirror.yaml"), text).unwrap();
    let config = workspace.path("mirror.yaml");
    symlink("..data/mirror.yaml", &config).unwrap();
    let state = workspace.path("state/mirror.yaml");
    let (config, state) = (config.to_str().unwrap(), state.to_str().unwrap());

    let mut talk = Talk::new().open().client(get("/1")).server(OK);
    let mut run = Running::start(&["run", "--config", config, "--state", state]);
    let mut sent = 0;
    let mut feed = |run: &mut Running, talk: &Talk| {
        let packets = talk.pcap();
        run.feed(&packets[sent..]);
        sent = packets.len();
    };
    feed(&mut run, &talk);
    assert_eq!(paths(&first.wait_for(1, PATIENCE)), ["/1"]);

    version(
        "v2",
        "rules: [{ name: rare, match: { path: { exact: /rare } }, targets: first }, { name: two, targets: second }]\n",
    );
    run.reports("config_reloaded");
    talk = talk.client(get("/2")).server(OK);
    feed(&mut run, &talk);
    assert_eq!(paths(&second.wait_for(1, PATIENCE)), ["/2"], "on the connection that was open");

    version("v3", "rules: [{ name: three, tragets: first }]\n");
    run.reports("config_refused");
    talk = talk.client(get("/3")).server(OK);
    feed(&mut run, &talk);
    assert_eq!(paths(&second.wait_for(2, PATIENCE)), ["/2", "/3"]);

    // Another target under the same name, and other redaction: what the old target was given is sent.
    let third = Target::start(Behaviour::Answer);
    let text =
        two_targets("-", &first, &third, "rules: [{ name: two, targets: [first, second] }]\n");
    let text = format!("{text}redact: {{ headers: [Host] }}\nprobes: keep\n");
    std::fs::write(workspace.path("v3/mirror.yaml"), text).unwrap();
    run.reports("config_reloaded");
    talk = talk.client(get("/4")).server(OK);
    feed(&mut run, &talk);
    let received = third.wait_for(1, PATIENCE);
    assert_eq!(paths(&received), ["/4"]);
    assert!(received[0].header("host").is_some_and(|host| host.starts_with("redacted-host-")));
    assert_eq!(paths(&first.wait_for(2, PATIENCE)), ["/1", "/4"]);
    assert_eq!(second.received().len(), 2);

    feed(&mut run, &talk.close());
    let summary = run.end();
    assert!(summary.contains("reloaded 2, refused 1"), "{summary}");
    assert!(summary.contains("two 3, one 1"), "{summary}");
    assert!(summary.contains("seen 4 = delivered 4"), "{summary}");
    assert!(
        summary.contains("to second  ") && summary.contains("seen 2 = delivered 2"),
        "{summary}"
    );
    let rules = "rules: [{ name: rare, match: { path: { exact: /rare } }, targets: first }, { name: two, targets: second }]\n";
    std::fs::write(state, two_targets("-", &first, &second, rules)).unwrap();
    std::fs::write(workspace.path("v3/mirror.yaml"), "version: 1\n").unwrap();

    // The next start finds the last valid one.
    let talk = Talk::new().open().client(get("/4")).server(OK).close();
    let run = mirror_with_input(&["run", "--config", config, "--state", state], &talk.pcap());
    let run = run.exits_with(0);
    assert!(run.stderr().contains("last valid one"), "{}", run.stderr());
    assert_eq!(paths(&second.wait_for(3, PATIENCE)), ["/2", "/3", "/4"]);
    // Without a state there is none.
    mirror_with_input(&["run", "--config", config], &talk.pcap()).exits_with(2);
}

#[test]
fn a_hangup_asks_for_the_file() {
    let target = Target::start(Behaviour::Answer);
    let workspace = Workspace::new();
    let text = format!(
        "version: 1\nsource: {{ from: \"-\" }}\ntargets: {{ only: {{ url: \"{}\" }} }}\n",
        target.url()
    );
    let config = workspace.file("mirror.yaml", text.as_bytes());
    let talk = Talk::new().open().client(get("/1")).server(OK);
    let mut run = Running::start(&["run", "--config", &config]);
    run.feed(&talk.pcap());
    target.wait_for(1, PATIENCE);
    let process = run.child.id().to_string();
    let kill = Command::new("kill").args(["-HUP", &process]).status().unwrap();
    assert!(kill.success());
    run.reports("config_unchanged");
    let summary = run.end();
    assert!(summary.contains("delivered 1") && !summary.contains("reloaded"), "{summary}");
}

#[test]
fn each_target_has_its_own_marks_and_the_file_says_what_is_no_request() {
    let (first, second) = (Target::start(Behaviour::Answer), Target::start(Behaviour::Answer));
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = format!("GET /a HTTP/1.1\r\nHost: a\r\ntraceparent: {parent}\r\n\r\n");
    let probe = "GET /b HTTP/1.1\r\nHost: a\r\nUser-Agent: kube-probe/1.31\r\n\r\n";
    let talk = Talk::new().open().client(traced).server(OK).client(probe).server(OK).close();
    let workspace = Workspace::new();
    let packets = workspace.file("talk.pcap", &talk.pcap());
    let file = |probes: &str| {
        format!(
            "version: 1\n{probes}source: {{ from: \"{packets}\" }}\ntargets:\n  \
             first: {{ url: \"{}\", mode: rollback }}\n  \
             second: {{ url: \"{}\", trace: keep, baggage: keep }}\n",
            first.url(),
            second.url()
        )
    };
    let config = workspace.file("mirror.yaml", file("").as_bytes());
    mirror(&["run", "--config", &config]).exits_with(0).says("seen 2 = delivered 1 + probe 1");
    let (marked, kept) = (first.wait_for(1, PATIENCE), second.wait_for(1, PATIENCE));
    assert_eq!(marked[0].header("x-shadow-mode").as_deref(), Some("rollback"));
    assert_eq!(marked[0].header("baggage").as_deref(), Some("synthetic_request=true"));
    assert_eq!(marked[0].header("x-shadow-traceparent").as_deref(), Some(parent));
    assert_eq!(kept[0].header("x-shadow-mode"), None);
    assert_eq!(kept[0].header("baggage"), None);
    assert_eq!(kept[0].header("traceparent").as_deref(), Some(parent));
    let config = workspace.file("mirror.yaml", file("probes: keep\n").as_bytes());
    mirror(&["run", "--config", &config]).exits_with(0).says("seen 2 = delivered 2");
}

#[test]
fn an_imported_virtual_service_mirrors_what_it_said() {
    let target = Target::start(Behaviour::Answer);
    let workspace = Workspace::new();
    let talk = Talk::new().open();
    let talk = talk.client(get("/headers/a")).server(OK).client(get("/other")).server(OK).close();
    let packets = workspace.file("talk.pcap", &talk.pcap());
    let (ip, port) = (target.address().ip(), target.address().port());
    let service = workspace.file(
        "vs.yaml",
        format!(
            "kind: ServiceEntry\nspec:\n  hosts: [outside.example]\n  \
             ports: [{{number: 80, name: http, protocol: HTTP}}]\n  \
             endpoints: [{{address: {ip}, ports: {{http: {port}}}}}]\n---\n\
             kind: VirtualService\nspec:\n  hosts: [shop.example]\n  http:\n  \
             - match: [{{uri: {{prefix: /headers}}}}]\n    mirror: {{host: outside.example}}\n"
        )
        .as_bytes(),
    );
    let convert = ["config", "convert", "--from", "istio", "--interface", &packets, &service];
    let native = mirror(&convert).exits_with(0).stdout();
    let config = workspace.file("mirror.yaml", native.as_bytes());
    mirror(&["run", "--config", &config]).exits_with(0).says("seen 2 = delivered 1 + shielded 1");
    let received = target.wait_for(1, PATIENCE);
    assert_eq!(paths(&received), ["/headers/a"]);
    assert_eq!(received[0].header("host").as_deref(), Some("shop.example"));
}

#[test]
fn connections_that_no_rule_wants_are_left_out_before_they_are_read() {
    let target = Target::start(Behaviour::Answer);
    let talks: Vec<Talk> = (0..60)
        .map(|n| {
            let client = format!("10.0.0.2:{}", 40_000 + n);
            Talk::between(&client, "10.0.0.1:8080").open().client(get("/1")).server(OK).close()
        })
        .collect();
    let workspace = Workspace::new();
    let packets = workspace.file("talks.pcap", &interleaved(&talks));
    let text = format!(
        "version: 1\nsource: {{ from: \"{packets}\", ports: 8080 }}\ntargets: {{ only: {{ url: \"{}\" }} }}\n\
         rules: [{{ name: half, sample: {{ percent: 50, by: connection }}, targets: only }}]\n",
        target.url()
    );
    let config = workspace.file("mirror.yaml", text.as_bytes());
    let run = mirror(&["run", "--config", &config]).exits_with(0);
    let sent = target.received().len();
    assert!((15..=45).contains(&sent), "{sent} of 60: five standard deviations and more");
    let told = run.stdout();
    let line = |name: &str| told.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("segments ").contains(" sampled_out "), "{told}");
    assert!(line("rules").ends_with(&format!("half {sent}")), "{told}");
}

#[test]
fn a_file_says_what_the_flags_of_other_commands_do_not() {
    let [first, second, third] = [(); 3].map(|()| Target::start(Behaviour::Answer));
    let secret = "GET /api/a HTTP/1.1\r\nHost: a\r\nX-Tenant: blue-lagoon\r\n\r\n";
    let talk =
        Talk::new().open().client(secret).server(OK).client(get("/other")).server(OK).close();
    let workspace = Workspace::new();
    let packets = workspace.file("talk.pcap", &talk.pcap());
    let text = format!(
        "version: 1\nsource: {{ from: \"{packets}\" }}\nredact: {{ headers: [X-Tenant] }}\n\
         targets: {{ only: {{ url: \"{}\" }} }}\n\
         rules: [{{ name: api, match: {{ path: {{ segments: /api }} }}, targets: only }}]\n",
        first.url()
    );
    let config = workspace.file("mirror.yaml", text.as_bytes());
    let told = mirror(&["inspect", "--config", &config, "--json"]).exits_with(0).stdout();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("/api/a") && !told.contains("blue-lagoon"), "{told}");
    // Its targets, unless others are given; its rules and its redaction all the same.
    mirror(&["replay", "--config", &config, "--speed", "max"]).exits_with(0);
    let flag = ["replay", "--config", &config, "--speed", "max", "--to", &second.url()];
    mirror(&flag).exits_with(0);
    for target in [first, second] {
        let received = target.wait_for(1, PATIENCE);
        assert_eq!(paths(&received), ["/api/a"]);
        assert!(received[0].header("x-tenant").is_some_and(|value| value != "blue-lagoon"));
    }
    // Flags win.
    let other = format!(
        "version: 1\nsource: {{ from: \"{packets}\", ports: 1 }}\npace: {{ speed: max, copies: 2 }}\nredact: {{ preset: pii }}\n\
         targets: {{ only: {{ url: \"{}\", mode: rollback, trace: off }} }}\n",
        third.url()
    );
    let other = workspace.file("other.yaml", other.as_bytes());
    let ports = ["replay", "--config", &other, "--port", "8080"];
    mirror(&[&ports[..], &["--mode", "replay", "--copies", "1"]].concat()).exits_with(0);
    let received = third.wait_for(2, PATIENCE);
    assert_eq!(paths(&received), ["/api/a", "/other"]);
    assert_eq!(received[0].header("x-shadow-mode"), None);
    assert_eq!(received[0].header("traceparent"), None, "as the file says");
    mirror(&ports).exits_with(0);
    let received = third.wait_for(6, PATIENCE);
    assert_eq!(received[5].header("x-shadow-mode").as_deref(), Some("rollback"));
    let plain = mirror(&["inspect", "--config", &config, "--from", "/nowhere.pcap"]).exits_with(2);
    assert!(plain.stderr().contains("/nowhere.pcap"), "{}", plain.stderr());
}
