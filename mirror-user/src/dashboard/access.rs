//! Who may ask the dashboard: as at the admin endpoint, and no page of another site.
//!
//! A page in a browser on this host reaches loopback, too. By a name of its own that is made to resolve to 127.0.0.1 it
//! could read (DNS rebinding), so that a host which is a name is refused where there is no token; by the address it could
//! write, so that another site's requests are refused.

use super::routes::Refused;
use crate::admin::Access;
use crate::metrics::RequestsRefused;

/// What a request says about who asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asker<'a> {
    pub(super) authorization: Option<&'a [u8]>,
    pub(super) host: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
    /// `Sec-Fetch-Site`: what a browser says about the page that asks.
    pub(super) site: Option<&'a str>,
}

impl Asker<'_> {
    /// Checks that it may read the page, which holds nothing that was captured: a browser cannot show a token yet.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn may_read_page(&self, access: &Access) -> Result<(), Refused> {
        match access {
            Access::Token(_) => Ok(()),
            _ => access.check(None, self.host).map_err(Refused::from),
        }
    }

    /// Checks that it may read what was captured.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn may_read(&self, access: &Access) -> Result<(), Refused> {
        access.check(self.authorization, self.host)?;
        let is_own = |origin: &str| {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == self.host
        };
        match self.site {
            Some("cross-site" | "same-site") => Err(Refused::Origin),
            _ if self.origin.is_none_or(is_own) => Ok(()),
            _ => Err(Refused::Origin),
        }
    }
}

impl From<RequestsRefused> for Refused {
    fn from(why: RequestsRefused) -> Self {
        match why {
            RequestsRefused::Token => Self::Token,
            _ => Self::Host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_site_can_neither_read_nor_write() {
        let asker = |host, origin, site| Asker { host, origin, site, ..Asker::default() };
        let check = |asker: Asker<'_>| asker.may_read(&Access::Local);
        for host in ["evil.example:8888", "127.0.0.1.evil.example", ""] {
            assert_eq!(check(asker(Some(host), None, None)), Err(Refused::Host), "{host}");
        }
        let host = Some("127.0.0.1:8888");
        let own = Some("http://127.0.0.1:8888");
        assert_eq!(check(asker(host, own, Some("same-origin"))), Ok(()));
        assert_eq!(check(asker(host, None, None)), Ok(()));
        for origin in ["http://evil.example", "null", "", "http://127.0.0.1:8889"] {
            assert_eq!(check(asker(host, Some(origin), None)), Err(Refused::Origin), "{origin}");
        }
        assert_eq!(check(asker(host, None, Some("cross-site"))), Err(Refused::Origin));
    }
}
