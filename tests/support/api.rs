//! A small API server of Kubernetes, for one kind of object: lists and watches of pods' metadata over HTTP,
//! with the faults of a real one. It refuses what mirror must not ask for. What a real API server does is
//! tested where there is one: `cargo xtask kubernetes`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// What it does instead of answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Connections end at once, also those that are open.
    Away,
    /// It reads requests and never answers; what is open stays silent.
    Hangs,
    /// The service account may not.
    Forbidden,
}

/// The API server. Its threads end with the process.
pub(crate) struct Api {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    version: u64,
    pods: BTreeMap<String, Value>,
    /// Everything that happened: the version, and the line of a watch.
    history: Vec<(u64, Value)>,
    /// Versions up to here are forgotten: whoever goes on from one is told 410.
    forgotten: u64,
    fault: Fault,
    lists: usize,
    watches: usize,
}

impl Api {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Mutex::new(State { version: 1, ..State::default() });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        let of_listener = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_listener);
                thread::spawn(move || shared.connection(stream));
            }
        });
        Self { address, shared }
    }

    /// A kubeconfig that leads to it.
    pub(crate) fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{ name: c, cluster: {{ server: \"http://{}\" }} }}]\n\
             users: [{{ name: u, user: {{ token: t }} }}]\n\
             contexts: [{{ name: c, context: {{ cluster: c, user: u }} }}]\n",
            self.address
        )
    }

    /// A pod is made or changed: its name, UID, labels and annotations.
    pub(crate) fn apply(&self, name: &str, uid: &str, labels: Value, annotations: Value) {
        let mut state = self.shared.state();
        state.version += 1;
        let is_new = !state.pods.contains_key(name);
        let pod = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {
                "name": name, "namespace": "shop", "uid": uid, "labels": labels,
                "annotations": annotations, "resourceVersion": state.version.to_string(),
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "shop", "uid": "w",
                    "controller": true,
                }],
            },
        });
        state.pods.insert(name.to_owned(), pod.clone());
        let version = state.version;
        let kind = if is_new { "ADDED" } else { "MODIFIED" };
        state.history.push((version, json!({ "type": kind, "object": pod })));
        self.shared.changed.notify_all();
    }

    /// A pod is removed.
    pub(crate) fn delete(&self, name: &str) {
        let mut state = self.shared.state();
        state.version += 1;
        let version = state.version;
        let mut pod = state.pods.remove(name).expect("the pod is there");
        pod["metadata"]["resourceVersion"] = version.to_string().into();
        state.history.push((version, json!({ "type": "DELETED", "object": pod })));
        self.shared.changed.notify_all();
    }

    /// From now on it has this fault.
    pub(crate) fn set(&self, fault: Fault) {
        self.shared.state().fault = fault;
        self.shared.changed.notify_all();
    }

    /// It forgets what happened, and ends all watches.
    pub(crate) fn forget(&self) {
        let mut state = self.shared.state();
        state.version += 1;
        state.forgotten = state.version;
        self.shared.changed.notify_all();
    }

    /// How often it was asked for a list, and for a watch.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let state = self.shared.state();
        (state.lists, state.watches)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panicked")
    }

    /// Answers requests until the connection ends.
    fn connection(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        while let Some((path, accept)) = request(&mut reader) {
            if self.answer(&path, &accept, &mut stream).is_none() {
                break;
            }
        }
    }

    fn answer(&self, path: &str, accept: &str, stream: &mut TcpStream) -> Option<()> {
        match self.state().fault {
            Fault::Away => return None,
            Fault::Forbidden => {
                let message = "pods is forbidden: User \"mirror\" cannot list resource \"pods\"";
                return send(stream, 403, &status(403, "Forbidden", message));
            }
            Fault::None | Fault::Hangs => {}
        }
        self.stay_silent()?;
        let Some((_, query)) = path.split_once('?').filter(|(path, _)| *path == "/api/v1/pods")
        else {
            return send(stream, 404, &status(404, "NotFound", path));
        };
        // One node's pods, and their metadata alone.
        if !query.contains("fieldSelector=spec.nodeName%3Dn1")
            || !accept.contains("PartialObjectMetadata")
        {
            return send(
                stream,
                400,
                &status(400, "BadRequest", "only metadata of one node's pods"),
            );
        }
        if !query.contains("watch=true") {
            let mut state = self.state();
            state.lists += 1;
            let list = json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                "metadata": { "resourceVersion": state.version.to_string() },
                "items": state.pods.values().collect::<Vec<_>>(),
            });
            drop(state);
            return send(stream, 200, &list);
        }
        if !query.contains("allowWatchBookmarks=true") {
            return send(stream, 400, &status(400, "BadRequest", "without bookmarks"));
        }
        let from = query.split('&').find_map(|part| part.strip_prefix("resourceVersion="));
        self.watch(from?.parse().ok()?, stream)
    }

    /// Waits while it hangs.
    fn stay_silent(&self) -> Option<()> {
        let mut state = self.state();
        while state.fault == Fault::Hangs {
            state = self.changed.wait_timeout(state, Duration::from_secs(60)).ok()?.0;
        }
        (state.fault != Fault::Away).then_some(())
    }

    fn watch(&self, mut from: u64, stream: &mut TcpStream) -> Option<()> {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).ok()?;
        let mut state = self.state();
        state.watches += 1;
        loop {
            if state.fault == Fault::Away {
                return None;
            }
            if from < state.forgotten {
                let gone = status(410, "Expired", "too old resource version");
                chunk(stream, &json!({ "type": "ERROR", "object": gone }))?;
                stream.write_all(b"0\r\n\r\n").ok()?;
                return Some(());
            }
            if state.fault != Fault::Hangs {
                let news: Vec<_> =
                    state.history.iter().filter(|(at, _)| *at > from).cloned().collect();
                for (at, line) in news {
                    chunk(stream, &line)?;
                    from = at;
                }
                let bookmark = json!({ "type": "BOOKMARK", "object": {
                    "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                    "metadata": { "resourceVersion": state.version.to_string(), "creationTimestamp": null },
                } });
                chunk(stream, &bookmark)?;
                from = from.max(state.version);
            }
            state = self.changed.wait_timeout(state, Duration::from_secs(60)).ok()?.0;
        }
    }
}

/// The path of the next request, and what it accepts.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then_some(())?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut accept = String::new();
    loop {
        let mut field = String::new();
        (reader.read_line(&mut field).ok()? > 0).then_some(())?;
        match field.trim_end().split_once(':') {
            None => return Some((path, accept)),
            Some((name, value)) if name.eq_ignore_ascii_case("accept") => accept = value.to_owned(),
            Some(_) => {}
        }
    }
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

fn send(stream: &mut TcpStream, code: u16, body: &Value) -> Option<()> {
    let body = body.to_string();
    let len = body.len();
    let head = format!(
        "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()
}

fn chunk(stream: &mut TcpStream, line: &Value) -> Option<()> {
    let line = format!("{line}\n");
    stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).ok()
}
