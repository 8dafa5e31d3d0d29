//! What a PostgreSQL says, by `psql`: no library is needed, and passwords and certificates are where its operators have them.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::command::{Output, Running};

/// What it prints for these commands, one line for each row, its columns separated by `|`. `parent` is as for
/// [`Running::finish`]. What psql complains about goes to standard error.
///
/// # Errors
/// If it is not there, cannot connect, or a command fails.
pub(crate) fn ask(
    database: &str,
    commands: &[&str],
    limit: Duration,
    parent: Option<BorrowedFd<'_>>,
) -> Result<String, String> {
    let mut args =
        vec!["psql", "-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-d", database];
    args.extend(commands.iter().flat_map(|command| ["-c", command]));
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    let ended =
        Running::start(&args, &[], Output::Kept).and_then(|psql| psql.finish(limit, parent));
    ended.map_err(|why| format!("psql: {why}"))
}

/// Refuses a connection string with a password, which anybody on the host could read where it is a command line.
///
/// # Errors
/// What to do instead.
pub(crate) fn connection_string(text: &str) -> Result<(), String> {
    // `postgres://user:password@host`, or `password=…`.
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    let user = authority.and_then(|authority| authority.rsplit_once('@'));
    let lower = text.to_ascii_lowercase();
    let is_given = |rest: &str| rest.trim_start().starts_with('=');
    let has_password = user.is_some_and(|(user, _)| user.contains(':'))
        || lower.split("password").skip(1).any(is_given);
    match has_password {
        true => Err("a connection string without a password, which others could see; put it into ~/.pgpass or a service".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_belong_into_a_connection_string() {
        for good in ["shop", "host=db user=me dbname=shop", "postgres://me@db/shop?a=b:c@d"] {
            assert_eq!(connection_string(good), Ok(()), "{good}");
        }
        for bad in [
            "host=db PASSWORD=x",
            "password = x",
            "postgres:///shop?sslpassword=x",
            "postgres://me:x@db/shop",
            "postgres://me:x@db",
        ] {
            assert!(connection_string(bad).is_err(), "{bad}");
        }
    }
}
