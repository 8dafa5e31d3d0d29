//! What packages and containers take from the command: completions, manual pages, the version, and settings
//! from the environment.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::support::wire::Talk;
use super::support::{self, Workspace, mirror};

fn with_environment(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(support::binary());
    command.args(args).envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn completions_are_a_script_that_knows_commands_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = mirror(&["completions", shell]).exits_with(0).stdout();
        for name in ["replay", "redact-key-file", "completions"] {
            assert!(script.contains(name), "{shell}: no {name}");
        }
    }
    let script = mirror(&["completions", "bash"]).exits_with(0).stdout();
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn every_command_has_a_manual_page() {
    let workspace = Workspace::new();
    let folder = workspace.path("");
    mirror(&["man", "--to", folder.to_str().unwrap()]).exits_with(0);
    for command in ["", "-replay", "-run", "-doctor", "-config-check"] {
        let page = std::fs::read_to_string(folder.join(format!("mirror{command}.1"))).unwrap();
        assert!(page.contains(".TH"), "{command}");
    }
    let first = std::fs::read_to_string(folder.join("mirror.1")).unwrap();
    assert_eq!(mirror(&["man"]).exits_with(0).stdout(), first);
    mirror(&["man", "--to", "/nowhere"]).exits_with(2).complains(&["/nowhere"]);
}

#[test]
fn the_version_names_the_kernel_object() {
    let short = mirror(&["-V"]).exits_with(0).stdout();
    assert_eq!(short.lines().count(), 1, "{short}");
    let long = mirror(&["--version"]).exits_with(0).says("commit: ").says("platform: linux ");
    let long = long.stdout();
    assert!(long.starts_with(short.trim_end()), "{long}");
    let digest = long.lines().find_map(|line| line.strip_prefix("kernel object: sha256 ")).unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|it| it.is_ascii_hexdigit()), "{digest}");
}

#[test]
fn the_environment_names_the_file_of_a_run() {
    let workspace = Workspace::new();
    let wrong = workspace.file("wrong.yaml", b"version: 2\n");
    let said = with_environment(&["run"], &[("MIRROR_CONFIG", &wrong)]);
    assert_eq!(said.status.code(), Some(2));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("wrong.yaml:1"), "{said}");
    let said =
        with_environment(&["run", "--config", "/nowhere.yaml"], &[("MIRROR_CONFIG", &wrong)]);
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("/nowhere.yaml") && !said.contains("wrong.yaml"), "{said}");
}

#[test]
fn the_environment_names_the_key_of_tokens_where_no_flag_does() {
    let secret =
        "GET /me HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer abcdef0123456789\r\n\r\n";
    let workspace = Workspace::new();
    let pcap = Talk::new().open().client(secret).server(super::OK).close().pcap();
    let pcap = workspace.file("secret.pcap", &pcap);
    let key = workspace.file("key", b"a key of more than sixteen bytes");
    let other = workspace.file("other", b"another key of sixteen bytes");
    let args = ["inspect", "--json", "--from", &pcap];
    let told = |args: &[&str], variables: &[(&str, &str)]| {
        let output = with_environment(args, variables);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let by_variable = told(&args, &[("MIRROR_REDACT_KEY_FILE", &key)]);
    let by_flag = [&args[..], &["--redact-key-file", &key]].concat();
    assert_eq!(by_variable, told(&by_flag, &[]));
    assert_eq!(by_variable, told(&by_flag, &[("MIRROR_REDACT_KEY_FILE", &other)]));
    assert_ne!(by_variable, told(&args, &[("MIRROR_REDACT_KEY_FILE", &other)]));
    let missing = with_environment(&args, &[("MIRROR_REDACT_KEY_FILE", "/nowhere/key")]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere/key"));
}

#[test]
fn no_color_leaves_a_terminal_plain() {
    let help = |environment: &[(&str, &str)]| {
        let mut script = Command::new("script");
        let command = format!("{} --help", support::binary().display());
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        script.env("TERM", "xterm").envs(environment.iter().copied());
        script.stdin(Stdio::null()).output().map(|output| output.stdout)
    };
    // util-linux's script(1) makes a terminal; without it there is none to look at.
    let (Ok(colored), Ok(plain)) = (help(&[]), help(&[("NO_COLOR", "1")])) else { return };
    assert!(colored.contains(&0x1b) && !plain.contains(&0x1b));
}
