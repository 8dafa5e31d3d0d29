//! The same pods by a real API server, with its store: lists and watches, RBAC, and restarts. There is no kubelet: the
//! test makes the cgroups that one would.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::pods::{CGROUPFS, Node, URL, changes, pods, requests};
use crate::support::binary;
use crate::support::netns::{Lab, Mirror, until};
use crate::support::scrape::{ADMIN, endpoint};
use crate::support::summary::assert_balance;

const SERVER: &str = "https://10.77.0.1:6443";

/// An API server and its store, in the lab's namespace; both end when it is dropped.
struct Cluster {
    folder: PathBuf,
    etcd: Child,
    server: Child,
}

impl Cluster {
    /// `None` where `cargo xtask kubernetes` has not built one.
    fn start(lab: &Lab) -> Self {
        let folder = lab.path("cluster");
        fs::create_dir(&folder).unwrap();
        let tokens = "admin-token,admin,admin,system:masters\nmirror-token,mirror,mirror\n";
        fs::write(folder.join("tokens.csv"), tokens).unwrap();
        let key =
            Command::new("openssl").args(["genrsa", "-out"]).arg(folder.join("key.pem")).output();
        assert!(key.unwrap().status.success());
        let etcd = Command::new("etcd")
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args(["--listen-client-urls", "http://127.0.0.1:2379"])
            .args(["--advertise-client-urls", "http://127.0.0.1:2379"])
            .args(["--listen-peer-urls", "http://127.0.0.1:2380"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self::serve(&folder);
        let cluster = Self { folder, etcd, server };
        cluster.is_up();
        cluster
    }

    fn serve(folder: &std::path::Path) -> Child {
        let program = std::env::var_os("MIRROR_TEST_APISERVER").expect("cargo xtask kubernetes");
        let key = folder.join("key.pem").display().to_string();
        Command::new(program)
            .args([
                "--etcd-servers=http://127.0.0.1:2379",
                "--secure-port=6443",
                "--insecure-port=0",
            ])
            .args(["--advertise-address=10.77.0.1", "--bind-address=10.77.0.1"])
            .arg(format!("--cert-dir={}", folder.join("certs").display()))
            .arg(format!("--token-auth-file={}", folder.join("tokens.csv").display()))
            .args(["--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount"])
            .args([
                "--service-account-issuer=https://mirror.test",
                "--service-cluster-ip-range=10.96.0.0/16",
            ])
            .arg(format!("--service-account-signing-key-file={key}"))
            .arg(format!("--service-account-key-file={key}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("server.log")).unwrap())
            .spawn()
            .unwrap()
    }

    fn is_up(&self) {
        until("the API server is ready", || {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--insecure", "--max-time", "2", "--header"]);
            curl.args(["Authorization: Bearer admin-token", &format!("{SERVER}/readyz")]);
            curl.output().is_ok_and(|output| output.stdout == b"ok")
        });
    }

    /// It is killed, and started again.
    fn restart(&mut self, meanwhile: impl FnOnce()) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        meanwhile();
        self.server = Self::serve(&self.folder);
        self.is_up();
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--insecure",
            "--fail-with-body",
            "--request",
            method,
        ]);
        curl.args(["--header", "Authorization: Bearer admin-token", "--header"]);
        let kind =
            if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        curl.arg(format!("Content-Type: {kind}"));
        curl.args(["--data", &body.to_string(), &format!("{SERVER}{path}")]);
        let output = curl.output().unwrap();
        assert!(
            output.status.success(),
            "{method} {path}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }

    /// A pod on node `n1`; its UID is what its cgroup is named by.
    fn pod(&self, name: &str, labels: &Value) -> String {
        let pod = json!({
            "metadata": { "name": name, "labels": labels },
            "spec": {
                "nodeName": "n1", "automountServiceAccountToken": false,
                "containers": [{ "name": "c", "image": "none" }],
            },
        });
        self.ask("POST", "/api/v1/namespaces/shop/pods", &pod);
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--insecure", "--header", "Authorization: Bearer admin-token"]);
        curl.arg(format!("{SERVER}/api/v1/namespaces/shop/pods/{name}"));
        let pod: Value = serde_json::from_slice(&curl.output().unwrap().stdout).unwrap();
        pod["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    fn annotate(&self, pod: &str, annotations: &Value) {
        let patch = json!({ "metadata": { "annotations": annotations } });
        self.ask("PATCH", &format!("/api/v1/namespaces/shop/pods/{pod}"), &patch);
    }

    fn delete(&self, pod: &str) {
        let now = json!({ "gracePeriodSeconds": 0 });
        self.ask("DELETE", &format!("/api/v1/namespaces/shop/pods/{pod}"), &now);
    }

    /// What the chart's ClusterRole lets mirror do.
    fn allow(&self) {
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let rules = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"] }]);
        let role = json!({ "metadata": { "name": "mirror" }, "rules": rules });
        self.ask("POST", &format!("{rbac}/clusterroles"), &role);
        let of = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "mirror" });
        let user =
            json!([{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mirror" }]);
        let binding = json!({ "metadata": { "name": "mirror" }, "roleRef": of, "subjects": user });
        self.ask("POST", &format!("{rbac}/clusterrolebindings"), &binding);
    }

    /// A mirror that captures node `n1`'s shops.
    fn mirror(&self, lab: &Lab) -> Mirror {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": {
                "server": SERVER, "certificate-authority": self.folder.join("certs/apiserver.crt"),
            } }],
            "users": [{ "name": "u", "user": { "token": "mirror-token" } }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        });
        let file = lab.path("kubeconfig");
        fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(binary());
        command.env("KUBECONFIG", file).env("MIRROR_NODE", "n1").env("MIRROR_POD", "shop/mirror-x");
        let seen = lab.path("seen.jsonl").to_str().unwrap().to_owned();
        let args =
            ["capture", "--pods", "labels=app=shop", "--port", "8080", "--admin", ADMIN, "--json"];
        Mirror::start_as(lab, command, &[&args[..], &["--to", &seen]].concat())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.etcd] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
#[ignore = "needs a real API server: cargo xtask kubernetes"]
fn real_api_server_tells_pods_as_they_come_and_go() {
    Lab::run(|lab| {
        lab.start_nginx();
        let mut cluster = Cluster::start(lab);
        let node = Node::new(lab);
        cluster.ask("POST", "/api/v1/namespaces", &json!({ "metadata": { "name": "shop" } }));
        let mirror = cluster.mirror(lab);
        until("RBAC refuses it", || endpoint().get("/readyz").body.contains("forbidden"));
        cluster.allow();
        until("it is ready", || endpoint().not_ready().is_empty());

        let shop = json!({ "app": "shop" });
        let first = node.start_as(CGROUPFS, &cluster.pod("shop-1", &shop));
        let other = node.start_as(CGROUPFS, &cluster.pod("other", &json!({ "app": "other" })));
        until("it is attached to", || pods("attached") == 1.0);
        first.asks(lab, URL);
        other.asks(lab, URL);
        let of = |pod: &str| endpoint().scrape().sum("mirror_pod_requests_total", &[("pod", pod)]);
        until("its request is counted", || of("shop-1") == 1.0);

        // What stops one pod, and what stops all copying.
        cluster.annotate("shop-1", &json!({ "mirror.dev/shadow": "off" }));
        until("it is let go", || pods("attached") == 0.0);
        cluster.annotate("shop-1", &json!({ "mirror.dev/shadow": null }));
        until("it is attached to again", || pods("attached") == 1.0);
        cluster.pod("mirror-x", &shop);
        cluster.annotate("mirror-x", &json!({ "mirror.dev/pause": "true" }));
        let paused = || endpoint().scrape().sum("mirror_capture_paused", &[]) == 1.0;
        until("it pauses", paused);
        cluster.annotate("mirror-x", &json!({ "mirror.dev/pause": null }));
        until("it goes on", || !paused());

        // The API server is killed and comes back.
        cluster.restart(|| {
            until("the loss is told", || {
                endpoint().scrape().sum("mirror_pods_watched", &[]) == 0.0
            });
            first.asks(lab, URL);
            until("it is captured meanwhile", || of("shop-1") == 2.0);
        });
        let second = node.start_as(CGROUPFS, &cluster.pod("shop-2", &shop));
        until("a new pod is attached to", || pods("attached") == 2.0);
        until("the watch goes on", || endpoint().scrape().sum("mirror_pods_watched", &[]) == 1.0);
        second.asks(lab, URL);
        until("its request is counted", || of("shop-2") == 1.0);
        drop(second);
        cluster.delete("shop-2");
        until("it is forgotten", || pods("attached") == 1.0 && pods("waiting") == 0.0);
        let samples = endpoint().scrape();
        assert_eq!(changes(&samples, "missed"), 0.0);
        assert_eq!(samples.sum("mirror_pod_requests_total", &[]), 3.0);
        assert_eq!(requests("shop-1"), 0.0, "its workload is its own name");
        assert_balance(&mirror.summary());
    });
}
