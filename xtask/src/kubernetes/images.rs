//! Images for the cluster, which has no registry: archives that containerd reads, made of this machine's own programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::run_command;

/// nginx as a shop, and as what shadows are sent to: each request is a line that says how it was marked. Paths
/// below `/fail/` fail.
const NGINX: &str = "daemon off; master_process off; user root; pid /tmp/pid; error_log stderr crit;
events {}
http {
    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u;
    scgi_temp_path /tmp/s;
    log_format line '$request_uri host=$http_host id=$http_x_shadow_id rollout=$http_x_rollout';
    access_log /dev/stdout line;
    server {
        listen 8080;
        location / { return 200 \"hello\\n\"; }
        location /fail/ { return 503; }
    }
}
";

/// Writes all images into `folder`. `mirror` is the folder that its image is built from.
pub(super) fn write(folder: &Path, mirror: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let root = folder.join("root");

    // A pod's first process, which holds its namespaces.
    fs::create_dir_all(root.join("bin"))?;
    fs::copy("/bin/busybox", root.join("bin/busybox"))?;
    pack(&root, "pause:1", &json!({ "Entrypoint": ["/bin/busybox", "sleep", "2147483647"] }))?;

    for path in ["tmp", "etc", "var/log/nginx", "var/lib/nginx"] {
        fs::create_dir_all(root.join(path))?;
    }
    with_libraries(Path::new("/usr/sbin/nginx"), &root)?;
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/false\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\n")?;
    fs::write(root.join("etc/nginx.conf"), NGINX)?;
    pack(&root, "nginx:1", &json!({ "Entrypoint": ["/usr/sbin/nginx", "-c", "/etc/nginx.conf"] }))?;

    // What Containerfile says.
    for path in ["usr/bin", "etc/ssl/certs", "var/lib/mirror"] {
        fs::create_dir_all(root.join(path))?;
    }
    fs::copy(mirror.join("mirror"), root.join("usr/bin/mirror"))?;
    fs::copy(mirror.join("ca-certificates.crt"), root.join("etc/ssl/certs/ca-certificates.crt"))?;
    let config = json!({
        "Entrypoint": ["/usr/bin/mirror"],
        "Cmd": ["doctor"],
        "Env": ["PATH=/usr/bin", "TMPDIR=/var/lib/mirror"],
        "User": "0:0",
        "WorkingDir": "/var/lib/mirror",
    });
    pack(&root, &format!("mirror:{}", env!("CARGO_PKG_VERSION")), &config)
}

/// Copies a program and the libraries that it needs.
fn with_libraries(program: &Path, root: &Path) -> anyhow::Result<()> {
    let output = Command::new("ldd").arg(program).output()?;
    let libraries = String::from_utf8_lossy(&output.stdout).into_owned();
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.map(Path::new).chain([program]) {
        let copy = root.join(file.strip_prefix("/")?);
        fs::create_dir_all(copy.parent().context("a file without a folder")?)?;
        fs::copy(file, copy)?;
    }
    Ok(())
}

/// Makes an image of one layer of what is in `root`, which is empty afterwards.
fn pack(root: &Path, name: &str, config: &Value) -> anyhow::Result<()> {
    let folder = root.parent().context("a root without a folder")?;
    let layer = folder.join("layer.tar");
    let tar = || {
        let mut tar = Command::new("tar");
        tar.args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--directory"]);
        tar
    };
    run_command(tar().arg(root).arg("--file").arg(&layer).arg("."))?;
    let output = Command::new("sha256sum").arg(&layer).output()?;
    let sum = String::from_utf8_lossy(&output.stdout).into_owned();
    let sum = sum.split(' ').next().filter(|sum| sum.len() == 64).context("sha256sum")?.to_owned();
    let image = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{sum}")] },
    });
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
    fs::write(folder.join("config.json"), image.to_string())?;
    fs::write(folder.join("manifest.json"), manifest.to_string())?;
    let file = folder.join(name.replace(':', "-")).with_extension("tar");
    let parts = ["manifest.json", "config.json", "layer.tar"];
    run_command(tar().arg(folder).arg("--file").arg(&file).args(parts))?;
    for part in parts {
        fs::remove_file(folder.join(part))?;
    }
    fs::remove_dir_all(root)?;
    ensure!(file.is_file(), "{}: not written", file.display());
    Ok(())
}
