//! A PostgreSQL server of the test's own: a fresh cluster in a temporary folder, reached through a
//! Unix socket there, stopped and removed at the end.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A running server. PostgreSQL refuses to run as root, so that root's tests run it as `postgres`.
pub(crate) struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    /// Where it listens by TCP, if it does.
    port: Option<u16>,
}

impl Postgres {
    /// Makes a cluster, starts it and waits until it takes connections.
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// The same, which listens on a port of loopback, too.
    pub(crate) fn start_on_tcp() -> Self {
        Self::start_with(Some(super::free_address().port()))
    }

    fn start_with(port: Option<u16>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let user = (fs::metadata("/proc/self").expect("proc").uid() == 0).then(postgres_user);
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("root may give a folder away");
        }
        let server = Self { folder, programs: programs(), user, port };
        server.run(
            "initdb",
            &["--pgdata=data", "--auth=trust", "--username=shadow", "--encoding=UTF8", "--no-sync"],
        );
        let listen = match port {
            Some(port) => format!("127.0.0.1' -c port='{port}"),
            None => String::new(),
        };
        let settings = format!(
            "-c listen_addresses='{listen}' -c fsync=off -c wal_level=logical -c unix_socket_directories='{}'",
            server.folder.path().display()
        );
        server.run("pg_ctl", &["start", "--pgdata=data", "--wait", "--log=log", "-o", &settings]);
        server
    }

    /// How libpq and its likes name it.
    pub(crate) fn dsn(&self) -> String {
        self.dsn_of("postgres")
    }

    /// The same for another of its databases.
    pub(crate) fn dsn_of(&self, database: &str) -> String {
        let port = self.port.map(|port| format!(" port={port}")).unwrap_or_default();
        format!("host={}{port} user=shadow dbname={database}", self.socket_folder())
    }

    /// The same by TCP, where it listens.
    pub(crate) fn tcp_dsn_of(&self, database: &str) -> Option<String> {
        Some(format!("host=127.0.0.1 port={} user=shadow dbname={database}", self.port?))
    }

    /// Where its socket is.
    pub(crate) fn socket_folder(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// What `psql` answers, without headings and padding.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> String {
        self.query_of("postgres", sql)
    }

    /// The same of another of its databases.
    #[track_caller]
    pub(crate) fn query_of(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What `psql` complains about.
    #[track_caller]
    pub(crate) fn refusal(&self, sql: &str) -> String {
        let output = self.psql("postgres", sql);
        assert!(!output.status.success(), "{sql}: it was carried out");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        let dsn = self.dsn_of(database);
        self.command("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--dbname", &dsn, "--command", sql])
            .output()
            .expect("psql can be run")
    }

    fn run(&self, program: &str, args: &[&str]) {
        // To a file: the server inherits the descriptors, so that a pipe would never end.
        let said = self.folder.path().join("said");
        let file = || fs::File::options().append(true).create(true).open(&said).expect("a file");
        let status = self
            .command(program)
            .args(args)
            .stdout(file())
            .stderr(file())
            .status()
            .expect("PostgreSQL's programs can be run");
        let log = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        assert!(status.success(), "{program} {args:?}: {}{}", log("said"), log("log"));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).env("LC_ALL", "C.UTF-8");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self
            .command("pg_ctl")
            .args(["stop", "--pgdata=data", "--mode=immediate", "--silent", "--wait"])
            .status();
    }
}

/// The folder of the newest installed server's programs. Debian keeps them off the path.
pub(crate) fn programs() -> PathBuf {
    let version =
        |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(|path| version(path))
        .map(|path| path.join("bin"))
        .expect("a server: apt-get install postgresql")
}

/// The user and group that Debian's package made.
fn postgres_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("a list of users");
    users
        .lines()
        .find_map(|line| {
            let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .expect("a user named postgres: apt-get install postgresql")
}
