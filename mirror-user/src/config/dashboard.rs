//! The dashboard as it is configured.

use anyhow::anyhow;

use crate::admin::Access;
use crate::dashboard::Options;
use crate::filter::Ports;
use crate::settings::DashboardSettings;

/// The options of the dashboard, if there is to be one. `ports` are captured.
///
/// # Errors
/// If others than this host could ask without proof of who they are, the token cannot be read, or the dashboard's own
/// requests would be captured.
pub(super) fn options(
    settings: &DashboardSettings,
    ports: &Ports,
) -> anyhow::Result<Option<Options>> {
    let Some(listen) = settings.listen else { return Ok(None) };
    let is_captured = |port| !ports.is_empty() && ports.contains(port);
    if let Some(problem) = settings.problem(is_captured) {
        return Err(anyhow!(problem));
    }
    let access = match &settings.token_file {
        Some(path) => Access::by_token(path)?,
        None => Access::Local,
    };
    Ok(Some(Options { listen, access }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(listen: &str, token: Option<&str>) -> String {
        let settings = DashboardSettings {
            listen: Some(listen.parse().unwrap()),
            token_file: token.map(Into::into),
            diffy_compatible: false,
        };
        match options(&settings, &Ports::new(vec![8080])) {
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
