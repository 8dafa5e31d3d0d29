//! Where the cgroups of pods are.
//!
//! The kubelet makes a cgroup for each pod, named by its UID, in that of its class of service:
//!
//! ```text
//! systemd   kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1234_ab.slice
//! cgroupfs  kubepods/burstable/pod1234-ab
//! guaranteed pods                kubepods.slice/kubepods-pod1234_ab.slice, kubepods/pod1234-ab
//! with --cgroup-root, as kind    kubelet.slice/kubelet-kubepods.slice/…
//! ```
//!
//! Below it are the containers: `cri-containerd-ID.scope`, `crio-ID.scope/container`, `docker-ID.scope`, `ID`.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use hashbrown::{HashMap, HashSet};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// How deep below the hierarchy's root the kubelet's own root is looked for.
const ROOT_DEPTH: u32 = 3;

/// How deep below a pod's cgroup those of its containers are looked for: CRI-O's are two below, and those
/// that a container makes for itself some more.
const LEAF_DEPTH: u32 = 6;

/// Classes of service that have a cgroup of their own.
const CLASSES: [&str; 2] = ["burstable", "besteffort"];

/// The tree of cgroups, watched for pods that come and go.
pub(super) struct Tree {
    /// Where the hierarchy is mounted.
    mount: PathBuf,
    /// Says that a folder got or lost one; `None` where the kernel has none to give. The caller looks again
    /// after a time in any case.
    events: Option<OwnedFd>,
    watched: HashSet<PathBuf>,
}

impl Tree {
    pub(super) fn new(mount: PathBuf) -> Self {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok();
        Self { mount, events, watched: HashSet::new() }
    }

    /// True if cgroups of pods came or went since the last call.
    pub(super) fn has_changed(&mut self) -> bool {
        let Some(events) = &self.events else { return false };
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(events, &mut buffer);
        let mut changed = false;
        // What does not fit into one reading is read by the next call.
        while reader.next().is_ok() {
            changed = true;
            if reader.is_buffer_empty() {
                break;
            }
        }
        changed
    }

    /// The cgroup of each pod, by the name in it.
    pub(super) fn pods(&mut self) -> HashMap<String, PathBuf> {
        let folders = self.folders();
        // Before they are listed, so that no pod in between is missed.
        for folder in &folders {
            self.watch(folder);
        }
        self.watched.retain(|folder| folders.contains(folder));
        let mut pods = HashMap::new();
        for folder in folders {
            for (name, path) in inner(&folder) {
                pods.extend(pod_name(&name).map(|uid| (uid, path)));
            }
        }
        pods
    }

    fn watch(&mut self, folder: &Path) {
        if let Some(events) = &self.events
            && !self.watched.contains(folder)
            && inotify::add_watch(events, folder, WatchFlags::CREATE | WatchFlags::DELETE).is_ok()
        {
            self.watched.insert(folder.to_owned());
        }
    }

    /// Those in which the kubelet makes cgroups of pods: its own, and one of each class.
    fn folders(&self) -> Vec<PathBuf> {
        let mut roots = Vec::new();
        find_roots(&self.mount, ROOT_DEPTH, &mut roots);
        let of_root = |root: &PathBuf| {
            let inner = inner(root).into_iter();
            let classes = inner.filter(|(name, _)| CLASSES.iter().any(|it| is_part(name, it)));
            classes.map(|(_, path)| path).collect::<Vec<_>>()
        };
        let classes: Vec<PathBuf> = roots.iter().flat_map(of_root).collect();
        roots.into_iter().chain(classes).collect()
    }
}

fn find_roots(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    let Some(below) = depth.checked_sub(1) else { return };
    for (name, path) in inner(folder) {
        if is_part(&name, "kubepods") {
            found.push(path);
        } else {
            find_roots(&path, below, found);
        }
    }
}

/// True for `part`, `part.slice` and `above-part.slice`.
fn is_part(name: &str, part: &str) -> bool {
    let name = name.strip_suffix(".slice").unwrap_or(name);
    name.strip_suffix(part).is_some_and(|above| above.is_empty() || above.ends_with('-'))
}

/// The UID in the name of a pod's cgroup.
fn pod_name(folder: &str) -> Option<String> {
    let is_systemd = folder.ends_with(".slice");
    let name = folder.strip_suffix(".slice").unwrap_or(folder);
    let (above, uid) = name.rsplit_once("pod")?;
    let is_pod = !uid.is_empty() && (above.is_empty() || above.ends_with('-'));
    // systemd's slices have dashes for their own use.
    is_pod.then(|| if is_systemd { uid.replace('_', "-") } else { uid.to_owned() })
}

/// True if a cgroup whose id ends in these bits is this one or below it.
pub(super) fn holds(folder: &Path, id: u32) -> bool {
    fn below(folder: &Path, id: u32, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let Ok(entries) = fs::read_dir(folder) else { return false };
        let folders = entries.flatten().filter(|it| it.file_type().is_ok_and(|it| it.is_dir()));
        folders.into_iter().any(|it| is_id(it.ino(), id) || below(&it.path(), id, depth))
    }
    let own = fs::metadata(folder).map(|it| std::os::unix::fs::MetadataExt::ino(&it));
    own.is_ok_and(|inode| is_id(inode, id)) || below(folder, id, LEAF_DEPTH)
}

/// The id of a cgroup is the inode of its folder, of which a record has the low half.
fn is_id(inode: u64, id: u32) -> bool {
    inode & u64::from(u32::MAX) == u64::from(id)
}

/// The folders in a folder; none if it is gone.
fn inner(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const UID: &str = "6f1c2b7e-88aa-4d1e-9f3b-0c5d1e2f3a4b";

    /// What kubelets and runtimes make: the pod's cgroup with `_` for a dash of the UID where that is systemd's,
    /// and a container below it.
    const TREES: [(&str, &str); 8] = [
        ("kubepods/burstable/podUID", "0123abcd"),
        ("kubepods/podUID", "0123abcd"),
        (
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_ID.slice",
            "cri-containerd-0123abcd.scope",
        ),
        ("kubepods.slice/kubepods-podU_ID.slice", "cri-containerd-0123abcd.scope"),
        (
            "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_ID.slice",
            "crio-0123abcd.scope/container",
        ),
        (
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_ID.slice",
            "docker-0123abcd.scope",
        ),
        ("kubelet/kubepods/besteffort/podUID", "docker/0123abcd"),
        (
            "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podU_ID.slice",
            "cri-containerd-0123abcd.scope",
        ),
    ];

    #[test]
    fn a_pod_is_found_in_every_tree_and_so_are_its_containers() {
        for (pod, container) in TREES {
            let mount = tempfile::tempdir().unwrap();
            let folder =
                mount.path().join(pod.replace("U_ID", &UID.replace('-', "_")).replace("UID", UID));
            let leaf = folder.join(container);
            fs::create_dir_all(&leaf).unwrap();
            fs::create_dir_all(mount.path().join("system.slice/podman.service")).unwrap();
            let pods = Tree::new(mount.path().to_owned()).pods();
            assert_eq!(pods, HashMap::from([(UID.to_owned(), folder.clone())]), "{pod}");
            let id = |path: &Path| fs::metadata(path).unwrap().ino() as u32;
            assert!(holds(&folder, id(&leaf)) && holds(&folder, id(&folder)), "{pod}");
            assert!(!holds(&folder, id(mount.path())));
        }
    }

    #[test]
    fn pods_that_come_and_go_are_told() {
        let mount = tempfile::tempdir().unwrap();
        let class = mount.path().join("kubepods/burstable");
        let mut tree = Tree::new(mount.path().to_owned());
        assert!(tree.pods().is_empty() && !tree.has_changed());
        fs::create_dir_all(&class).unwrap();
        assert!(tree.pods().is_empty());
        fs::create_dir(class.join("pod1")).unwrap();
        assert!(tree.has_changed() && !tree.has_changed());
        assert_eq!(tree.pods().len(), 1);
        fs::remove_dir(class.join("pod1")).unwrap();
        assert!(tree.has_changed());
        assert!(tree.pods().is_empty());
        // A kubelet that starts anew with an empty tree.
        fs::remove_dir(&class).unwrap();
        tree.pods();
        fs::create_dir(&class).unwrap();
        tree.pods();
        tree.has_changed();
        fs::create_dir(class.join("pod2")).unwrap();
        assert!(tree.has_changed());
    }

    #[test]
    fn what_is_no_pod_is_left_out() {
        for other in
            ["kubepods-burstable.slice", "kubepods.slice", "burstable", "pod", "my-tripod1"]
        {
            assert_eq!(pod_name(other), None, "{other}");
        }
    }
}
