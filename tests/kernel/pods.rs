//! Pods of a node as they come and go: a small API server that speaks the protocol, and real cgroups as
//! kubelets and runtimes make them. The same with a real API server is in `cargo xtask kubernetes`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::cgroup::{Group, hierarchy};
use crate::support::api::{Api, Fault};
use crate::support::binary;
use crate::support::netns::{Lab, Mirror, timed, until};
use crate::support::scrape::{ADMIN, Samples, endpoint};
use crate::support::summary::assert_balance;
use crate::support::target::{Behaviour, Target};

pub(crate) const URL: &str = "http://10.77.0.1:8080/";

/// How a kubelet and a runtime name things: the class's folder, the pod's in it, the container's in that. `UID` is
/// the pod's UID, `U_ID` the same with `_` for each dash.
#[derive(Clone, Copy)]
pub(crate) struct Tree {
    class: &'static str,
    pod: &'static str,
    container: &'static str,
}

pub(crate) const CGROUPFS: Tree =
    Tree { class: "kubepods/burstable", pod: "podUID", container: "c0ffee" };

const TREES: [Tree; 4] = [
    CGROUPFS,
    Tree {
        class: "kubepods.slice/kubepods-besteffort.slice",
        pod: "kubepods-besteffort-podU_ID.slice",
        container: "cri-containerd-c0ffee.scope",
    },
    Tree {
        class: "kubepods.slice",
        pod: "kubepods-podU_ID.slice",
        container: "crio-c0ffee.scope/container",
    },
    Tree {
        class: "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice",
        pod: "kubelet-kubepods-burstable-podU_ID.slice",
        container: "docker-c0ffee.scope",
    },
];

/// The cgroups of one node, below one of the test's own.
pub(crate) struct Node {
    root: PathBuf,
}

impl Node {
    pub(crate) fn new(lab: &Lab) -> Self {
        let root = hierarchy().join(lab.server());
        fs::create_dir(&root).unwrap();
        Self { root }
    }

    /// The UID of this node's pod with this name; no other test's is the same.
    fn uid(&self, pod: &str) -> String {
        format!("{}-{pod}-0000", self.root.file_name().unwrap().to_str().unwrap())
    }

    /// A pod begins: its cgroup and one container's.
    fn start(&self, tree: Tree, pod: &str) -> Pod {
        self.start_as(tree, &self.uid(pod))
    }

    /// The same with another UID.
    pub(crate) fn start_as(&self, tree: Tree, uid: &str) -> Pod {
        let name = tree.pod.replace("U_ID", &uid.replace('-', "_")).replace("UID", uid);
        let folder = self.root.join(tree.class).join(name);
        let container = folder.join(tree.container);
        fs::create_dir_all(container.parent().unwrap()).unwrap();
        Pod { folder, container: Some(Group::at(container)) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        remove(&self.root);
    }
}

/// Removes a folder of cgroups from the leaves on.
fn remove(folder: &PathBuf) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

/// A pod that runs.
pub(crate) struct Pod {
    folder: PathBuf,
    container: Option<Group>,
}

impl Pod {
    /// Its container asks for this URL with curl.
    pub(crate) fn asks(&self, lab: &Lab, url: &str) {
        let container = self.container.as_ref().unwrap();
        assert!(container.curl(lab, &[url]).wait().unwrap().success());
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        drop(self.container.take());
        remove(&self.folder);
    }
}

/// `mirror` for a node that is named `n1`.
fn on_node(lab: &Lab, api: &Api) -> Command {
    let file = lab.path("kubeconfig");
    fs::write(&file, api.kubeconfig()).unwrap();
    let mut command = Command::new(binary());
    command.env("KUBECONFIG", file).env("MIRROR_NODE", "n1").env("MIRROR_POD", "shop/mirror-x");
    command
}

/// Captures into a file.
fn capture(lab: &Lab, api: &Api) -> Mirror {
    let file = lab.path("seen.jsonl").to_str().unwrap().to_owned();
    let args =
        ["capture", "--pods", "labels=app=shop", "--port", "8080", "--admin", ADMIN, "--json"];
    Mirror::start_as(lab, on_node(lab, api), &[&args[..], &["--overwrite", "--to", &file]].concat())
}

fn shop() -> Value {
    json!({ "app": "shop" })
}

pub(crate) fn pods(state: &str) -> f64 {
    endpoint().scrape().sum("mirror_pods", &[("state", state)])
}

pub(crate) fn changes(samples: &Samples, change: &str) -> f64 {
    samples.sum("mirror_pod_changes_total", &[("change", change)])
}

pub(crate) fn requests(pod: &str) -> f64 {
    endpoint().scrape().sum(
        "mirror_pod_requests_total",
        &[("pod", pod), ("namespace", "shop"), ("workload", "shop")],
    )
}

#[test]
#[ignore = "needs root and the feature kubernetes: cargo xtask test"]
fn selected_pods_of_every_tree_are_captured_and_counted_by_pod() {
    Lab::run(|lab| {
        lab.start_nginx();
        let (api, node) = (Api::start(), Node::new(lab));
        api.apply("other", &node.uid("other"), json!({ "app": "other" }), json!({}));
        let other = node.start(CGROUPFS, "other");
        let mirror = capture(lab, &api);
        until("no pod is needed", || endpoint().not_ready().is_empty());
        let names: Vec<String> = (0..TREES.len()).map(|number| format!("shop-{number}")).collect();
        for (number, (tree, name)) in TREES.into_iter().zip(&names).enumerate() {
            // The API server knows a pod before it has a cgroup, except where its kubelet is faster.
            if number % 2 == 0 {
                api.apply(name, &node.uid(name), shop(), json!({}));
            }
            let pod = node.start(tree, name);
            if number % 2 == 1 {
                api.apply(name, &node.uid(name), shop(), json!({}));
            }
            until("it is attached to", || pods("attached") == 1.0);
            pod.asks(lab, &format!("{URL}[0-{number}]"));
            other.asks(lab, URL);
            until("its requests are counted", || requests(name) == number as f64 + 1.0);
            drop(pod);
            until("it is let go", || pods("attached") == 0.0 && pods("waiting") == 1.0);
            api.delete(name);
            until("it is forgotten", || pods("waiting") == 0.0);
        }
        let samples = endpoint().scrape();
        samples.assert_sums_hold();
        assert_eq!(samples.sum("mirror_pod_requests_total", &[]), 1.0 + 2.0 + 3.0 + 4.0);
        assert!(samples.sum("mirror_pod_packets_total", &[("pod", "shop-3")]) > 4.0);
        assert_eq!(samples.sum("mirror_pod_packets_total", &[("pod", "other")]), 0.0);
        let expected = [("attached", 4.0), ("released", 4.0), ("missed", 0.0), ("refused", 0.0)];
        for (change, count) in expected {
            assert_eq!(changes(&samples, change), count, "{change}");
        }
        drop(other);
        let said = mirror.said();
        assert!(
            said.contains("shop/shop-0: attached to") && said.contains("shop/shop-0: let go"),
            "{said}"
        );
        let summary = mirror.summary();
        assert_balance(&summary);
    });
}

#[test]
#[ignore = "needs root and the feature kubernetes: cargo xtask test"]
fn while_the_api_server_is_away_the_pods_that_were_known_stay_captured() {
    Lab::run(|lab| {
        lab.start_nginx();
        let (api, node) = (Api::start(), Node::new(lab));
        let watched = || endpoint().scrape().sum("mirror_pods_watched", &[]) == 1.0;
        let problem = |what: &str| {
            endpoint().scrape().sum("mirror_pods_watch_problems_total", &[("problem", what)])
        };
        // Not even once.
        api.set(Fault::Away);
        let mirror = capture(lab, &api);
        until("it says what is missing", || endpoint().not_ready() == ["pods_unknown"]);
        until("the reason is counted", || problem("unreachable") > 0.0);
        api.set(Fault::Forbidden);
        until("the reason is counted", || problem("forbidden") > 0.0);
        let why = endpoint().get("/readyz").body;
        assert!(why.contains("forbidden"), "{why}");
        api.set(Fault::None);
        until("it is ready", || endpoint().not_ready().is_empty() && watched());

        api.apply("shop-1", &node.uid("shop-1"), shop(), json!({}));
        let pod = node.start(CGROUPFS, "shop-1");
        until("it is attached to", || pods("attached") == 1.0);
        for (number, fault) in [Fault::Away, Fault::Forbidden, Fault::Hangs].into_iter().enumerate()
        {
            api.set(fault);
            pod.asks(lab, URL);
            until("it is captured", || requests("shop-1") == number as f64 + 1.0);
            assert!(endpoint().not_ready().is_empty(), "{fault:?}");
            if fault == Fault::Away {
                until("the loss is told", || !watched());
            }
        }
        // What came meanwhile is told when it is back, also where it has forgotten all in between.
        let second = node.start(CGROUPFS, "shop-2");
        api.apply("shop-2", &node.uid("shop-2"), shop(), json!({}));
        let lists = api.asked().0;
        api.forget();
        api.set(Fault::None);
        until("both are attached to", || pods("attached") == 2.0 && watched());
        assert!(api.asked().0 > lists, "it was listed anew");
        drop(second);
        drop(pod);
        until("both are let go", || pods("attached") == 0.0);
        let summary = mirror.summary();
        assert_balance(&summary);
    });
}

#[test]
#[ignore = "needs root and the feature kubernetes: cargo xtask test"]
fn a_pod_that_ends_at_once_is_captured_or_counted_as_missed() {
    Lab::run(|lab| {
        lab.start_nginx();
        let (api, node) = (Api::start(), Node::new(lab));
        let mirror = capture(lab, &api);
        until("it is ready", || endpoint().not_ready().is_empty());
        for number in 0..10 {
            let name = format!("short-{number}");
            api.apply(&name, &node.uid(&name), shop(), json!({}));
            // The first ones have no cgroup at all.
            if number > 2 {
                node.start(CGROUPFS, &name).asks(lab, URL);
            }
            api.delete(&name);
        }
        until("all are counted", || {
            let samples = endpoint().scrape();
            changes(&samples, "attached") + changes(&samples, "missed") >= 10.0
        });
        let samples = endpoint().scrape();
        assert!(changes(&samples, "missed") >= 3.0);
        assert_eq!(changes(&samples, "attached") + changes(&samples, "missed"), 10.0);
        until("all are let go", || pods("attached") == 0.0 && pods("waiting") == 0.0);
        println!("of 7 short pods, {} were attached to", changes(&samples, "attached"));
        assert_balance(&mirror.summary());
    });
}

#[test]
#[ignore = "needs root and the feature kubernetes: cargo xtask test"]
fn two_hundred_pods_of_a_node_are_captured() {
    const PODS: usize = 200;
    Lab::run(|lab| {
        lab.start_nginx();
        let (api, node) = (Api::start(), Node::new(lab));
        let name = |number: usize| format!("shop-{number}");
        let start = |number: usize| {
            let pod = node.start(TREES[number % TREES.len()], &name(number));
            api.apply(&name(number), &node.uid(&name(number)), shop(), json!({}));
            pod
        };
        // Half of them are there before mirror is.
        let mut running: Vec<Pod> = (0..PODS / 2).map(start).collect();
        let mirror = capture(lab, &api);
        running.extend((PODS / 2..PODS).map(start));
        until("all are attached to", || pods("attached") == PODS as f64);
        for pod in running.iter().step_by(20) {
            pod.asks(lab, URL);
        }
        until("each is counted", || {
            let samples = endpoint().scrape();
            (0..PODS).step_by(20).all(|number| {
                samples.sum("mirror_pod_requests_total", &[("pod", &name(number))]) == 1.0
            })
        });
        assert_eq!(api.asked().0, 1, "one list");
        assert_eq!(api.asked().1, 1, "one watch");
        drop(running);
        until("all are let go", || pods("attached") == 0.0);
        assert_balance(&mirror.summary());
    });
}

#[test]
#[ignore = "needs root and the feature kubernetes: cargo xtask test"]
fn annotations_stop_one_pod_and_all_copying_within_a_second() {
    Lab::run(|lab| {
        lab.start_nginx();
        let (api, node) = (Api::start(), Node::new(lab));
        let target = Target::start(Behaviour::Digest);
        let file = lab.path("mirror.yaml");
        let config = format!(
            "version: 1\nsource: {{ pods: {{ namespaces: shop, labels: [app=shop] }}, ports: 8080 }}\n\
             targets: {{ shadow: {{ url: \"{}\" }} }}\n",
            target.url()
        );
        fs::write(&file, config).unwrap();
        let args = ["run", "--config", file.to_str().unwrap(), "--admin", ADMIN, "--json"];
        let mirror = Mirror::start_as(lab, on_node(lab, &api), &args);
        api.apply("shop-1", &node.uid("shop-1"), shop(), json!({}));
        let pod = node.start(CGROUPFS, "shop-1");
        until("it is attached to", || pods("attached") == 1.0);
        pod.asks(lab, URL);
        until("its request is counted", || requests("shop-1") == 1.0);

        let paused = || endpoint().scrape().sum("mirror_capture_paused", &[]) == 1.0;
        // mirror's own pod would match, and is not captured.
        let own = |annotations| api.apply("mirror-x", &node.uid("own"), shop(), annotations);
        own(json!({}));
        let pausing = timed(|| {
            own(json!({ "mirror.dev/pause": "true" }));
            until("it pauses", paused);
        });
        println!("paused {pausing:?} after the annotation");
        pod.asks(lab, URL);
        until("the packets are counted as paused", || {
            let paused = [("seam", "kernel"), ("reason", "paused")];
            endpoint().scrape().sum("mirror_dropped_total", &paused) > 0.0
        });
        own(json!({}));
        until("it goes on", || !paused());
        assert_eq!(requests("shop-1"), 1.0);

        api.apply("shop-1", &node.uid("shop-1"), shop(), json!({ "mirror.dev/shadow": "off" }));
        until("it is let go", || pods("attached") == 0.0);
        pod.asks(lab, URL);
        api.apply("shop-1", &node.uid("shop-1"), shop(), json!({}));
        until("it is attached to again", || pods("attached") == 1.0);
        pod.asks(lab, URL);
        until("its requests go on", || requests("shop-1") == 2.0);
        drop(pod);
        assert_balance(&mirror.summary());
    });
}

/// More pods than there are names for, of which some end, so that all that happens to labels happens: the sums of
/// the shadows that really arrived hold.
#[test]
#[ignore = "needs root and the feature kubernetes: cargo xtask test"]
fn shadows_are_counted_by_the_pod_that_they_come_from_and_the_sums_hold() {
    const PODS: usize = 150;
    Lab::run(|lab| {
        lab.start_nginx();
        let (api, node) = (Api::start(), Node::new(lab));
        let target = Target::start(Behaviour::Digest);
        let file = lab.path("mirror.yaml");
        let config = format!(
            "version: 1\nsource: {{ pods: {{ labels: [app=shop] }}, ports: 8080 }}\n\
             metrics: {{ labels: [target, class, namespace, pod] }}\n\
             targets: {{ staging: {{ url: \"{}\" }} }}\n",
            target.url()
        );
        fs::write(&file, config).unwrap();
        let args = ["run", "--config", file.to_str().unwrap(), "--admin", ADMIN, "--json"];
        let mirror = Mirror::start_as(lab, on_node(lab, &api), &args);
        let name = |number: usize| format!("shop-{number}");
        let start = |number: usize| {
            let pod = node.start(TREES[number % TREES.len()], &name(number));
            api.apply(&name(number), &node.uid(&name(number)), shop(), json!({}));
            pod
        };
        let mut running: Vec<Pod> = (0..PODS).map(start).collect();
        until("all are attached to", || pods("attached") == PODS as f64);
        let shadows = |pod: &str| {
            let labels = [("target", "staging"), ("namespace", "shop"), ("pod", pod)];
            endpoint().scrape().sum("mirror_shadow_requests_total", &labels)
        };
        let origins =
            |change: &str| endpoint().scrape().sum("mirror_origins_total", &[("change", change)]);
        assert_eq!((origins("named"), origins("beyond")), (128.0, (PODS - 128) as f64));
        running.iter().step_by(3).for_each(|pod| pod.asks(lab, URL));
        let all = PODS.div_ceil(3) as f64;
        let sum = |name: &str| endpoint().scrape().sum(name, &[("target", "staging")]);
        until("all are sent", || sum("mirror_shadow_responses_total") == all);

        // Those that end make room, and what was counted of them goes to `other`.
        let before = endpoint().scrape().sum("mirror_shadow_requests_total", &[("pod", "other")]);
        running.drain(..40);
        until("they are let go", || pods("attached") == (PODS - 40) as f64);
        running.extend((PODS..PODS + 20).map(start));
        until("new ones are attached to", || pods("attached") == (PODS - 20) as f64);
        running.last().unwrap().asks(lab, URL);
        until("it has a name", || shadows(&name(PODS + 19)) == 1.0);
        let other = || endpoint().scrape().sum("mirror_shadow_requests_total", &[("pod", "other")]);
        assert!(origins("folded") > 0.0 && other() > before);
        until("it is responded to", || sum("mirror_shadow_responses_total") == all + 1.0);
        let samples = endpoint().scrape();
        samples.assert_sums_hold();
        assert_eq!(samples.sum("mirror_shadow_requests_total", &[]), all + 1.0);
        assert_eq!(samples.sum("mirror_shadow_response_seconds_count", &[]), all + 1.0);
        assert!(!samples.has("mirror_shadow_requests_total", &[("workload", "shop")]));
        drop(running);
        assert_balance(&mirror.summary());
    });
}

/// Prints, with `--nocapture`, how long after the start of a pod's first container its first request is
/// captured.
#[test]
#[ignore = "needs root and the feature kubernetes: cargo xtask test"]
fn measured_from_the_start_of_a_container_to_its_first_captured_request() {
    const TIMES: usize = 50;
    Lab::run(|lab| {
        lab.start_nginx();
        let (api, node) = (Api::start(), Node::new(lab));
        let mirror = capture(lab, &api);
        until("it is ready", || endpoint().not_ready().is_empty());
        let mut times: Vec<Duration> = Vec::new();
        let mut missed = 0;
        for number in 0..TIMES {
            let name = format!("shop-{number}");
            api.apply(&name, &node.uid(&name), shop(), json!({}));
            let mut asked = 0_u32;
            times.push(timed(|| {
                let pod = node.start(CGROUPFS, &name);
                // Asks again and again, as a client that does not know when it is captured.
                until("a request is captured", || {
                    pod.asks(lab, URL);
                    asked += 1;
                    requests(&name) > 0.0
                });
            }));
            missed += asked - 1;
            api.delete(&name);
        }
        times.sort();
        let (middle, last) = (times[TIMES / 2], times[TIMES - 1]);
        println!(
            "from the start of a container to its first captured request, of {TIMES}: p50 {middle:?}, max {last:?}; \
             requests before that one: {missed}"
        );
        drop(mirror);
    });
}
