//! The first files of a guest: busybox, the modules that reach this machine's files, and a script.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::package::Files;
use crate::run_command;

/// Without these the guest cannot see this machine's files. What is built in has no entry.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

/// Writes the archive to `archive`; its script runs `command` by a shell and says how that ended.
pub(super) fn write(files: &Files, command: &str, archive: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let top = folder.path();
    for name in ["bin", "m", "proc", "sys", "dev", "host", "layer", "root"] {
        fs::create_dir(top.join(name))?;
    }
    fs::copy("/bin/busybox", top.join("bin/busybox")).context("busybox-static")?;
    symlink("busybox", top.join("bin/sh"))?;
    let mut inserts = String::new();
    for (place, module) in load_order(files)?.iter().enumerate() {
        let name = format!("m/{place}.ko");
        unpack(module, &top.join(&name))?;
        inserts.push_str(&format!("insmod /{name}\n"));
    }
    script(&top.join("init"), &init(files, &inserts, command))?;
    // The kernel looks for modprobe in the root that it was booted with.
    script(
        &top.join("bin/modprobe"),
        "#!/bin/sh\nexec busybox chroot /root /sbin/modprobe \"$@\"\n",
    )?;
    pack(top, archive)
}

fn init(files: &Files, inserts: &str, command: &str) -> String {
    let modules = files.modules.parent().unwrap_or(&files.modules).display();
    format!(
        "#!/bin/sh\n\
         export PATH=/bin HOME=/tmp\n\
         /bin/busybox --install -s /bin\n\
         mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev\n\
         {inserts}\
         mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 host /host\n\
         mount -t tmpfs layer /layer; mkdir /layer/upper /layer/work\n\
         mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root\n\
         cd /root; mkdir -p lib/modules\n\
         mount -o bind /host{modules} lib/modules\n\
         mount -o move /proc proc; mount -o move /sys sys; mount -o move /dev dev\n\
         mount -t tmpfs run run; mount -t tmpfs tmp tmp; chmod 1777 tmp\n\
         mount -t bpf bpf sys/fs/bpf; mount -t cgroup2 cgroup sys/fs/cgroup\n\
         mkdir -p dev/pts dev/shm run/netns; mount -t devpts pts dev/pts; mount -t tmpfs shm dev/shm\n\
         ln -sf /proc/self/fd dev/fd\n\
         echo /bin/modprobe > proc/sys/kernel/modprobe\n\
         busybox ip link set lo up\n\
         chroot /root /bin/sh -c '{command}'\n\
         echo \"{DONE}$?\"\n\
         poweroff -f\n",
        DONE = super::guest::DONE,
    )
}

/// The modules' files, each behind those that it needs.
fn load_order(files: &Files) -> anyhow::Result<Vec<PathBuf>> {
    let index = fs::read_to_string(files.modules.join("modules.dep"))?;
    let mut order = Vec::new();
    for module in MODULES {
        let stem = |path: &str| {
            path.rsplit('/').next().unwrap_or_default().split('.').next() == Some(module)
        };
        let Some((path, needs)) =
            index.lines().filter_map(|line| line.split_once(':')).find(|(path, _)| stem(path))
        else {
            continue;
        };
        // The index names first what is to be loaded last.
        for path in needs.split_whitespace().rev().chain([path]) {
            let path = files.modules.join(path);
            if !order.contains(&path) {
                order.push(path);
            }
        }
    }
    Ok(order)
}

/// Copies a module, without its compression.
fn unpack(module: &Path, to: &Path) -> anyhow::Result<()> {
    if module.extension().is_some_and(|ending| ending == "xz") {
        let mut xz = Command::new("xz");
        return run_command(xz.args(["-dc"]).arg(module).stdout(File::create(to)?));
    }
    fs::copy(module, to).with_context(|| module.display().to_string())?;
    Ok(())
}

fn script(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Packs a folder as the kernel expects it: a cpio archive in the `newc` form.
fn pack(folder: &Path, archive: &Path) -> anyhow::Result<()> {
    let names = Command::new("find").arg(".").current_dir(folder).output()?;
    let mut cpio = Command::new("cpio")
        .args(["--create", "--format=newc", "--quiet"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(File::create(archive)?)
        .spawn()?;
    cpio.stdin.take().context("a pipe")?.write_all(&names.stdout)?;
    ensure!(cpio.wait()?.success(), "cpio: could not pack {}", folder.display());
    Ok(())
}
