//! The dashboard as it is configured.

use anyhow::ensure;

use crate::admin::Access;
use crate::cli::DashboardArgs;
use crate::dashboard::Options;
use crate::filter::Ports;

/// The options of the dashboard, if there is to be one. `ports` are captured.
///
/// # Errors
/// If others than this host could ask without proof of who they are, the token cannot be read, or the dashboard's own
/// requests would be captured.
pub(super) fn options(args: &DashboardArgs, ports: &Ports) -> anyhow::Result<Option<Options>> {
    let DashboardArgs { dashboard: Some(listen), dashboard_token_file, .. } = args else {
        return Ok(None);
    };
    let listen = *listen;
    ensure!(
        ports.is_empty() || listen.port() == 0 || !ports.contains(listen.port()),
        "--dashboard {listen}: this port is captured, so requests to it would be shadowed; choose another one"
    );
    let access = match dashboard_token_file {
        Some(path) => Access::by_token(path)?,
        None => {
            ensure!(
                listen.ip().is_loopback(),
                "--dashboard {listen}: other hosts could read what is captured; listen on 127.0.0.1, or add \
                 --dashboard-token-file"
            );
            Access::Local
        }
    };
    Ok(Some(Options { listen, access }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(listen: &str, token: Option<&str>) -> String {
        let args = DashboardArgs {
            dashboard: Some(listen.parse().unwrap()),
            dashboard_token_file: token.map(Into::into),
            diffy_compatible: false,
        };
        match options(&args, &Ports::new(vec![8080])) {
            Ok(_) => String::new(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_dashboard_is_open_to_this_host_alone_without_a_token() {
        assert_eq!(refused("127.0.0.1:8888", None), "");
        assert_eq!(refused("[::1]:0", None), "");
        assert!(refused("0.0.0.0:8888", None).contains("--dashboard-token-file"));
        let missing = refused("0.0.0.0:8888", Some("/nowhere"));
        assert!(missing.starts_with("/nowhere: the token cannot be read"), "{missing}");
        assert!(refused("127.0.0.1:8080", None).contains("is captured"));
    }
}
