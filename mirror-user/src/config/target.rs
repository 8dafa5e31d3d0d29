//! What the flags about targets mean.

use super::output::To;
use crate::cli::{BreakerArg, TargetArgs};
use crate::sink::replay::{BreakerOptions, ReplayOptions, Target, TlsOptions};

/// Every target with `options`. One alone needs no name in the summary.
///
/// # Errors
/// When one of them is no target; the message says why.
pub(super) fn targets(args: &TargetArgs, options: &ReplayOptions) -> anyhow::Result<Vec<To>> {
    let tls = TlsOptions {
        authorities: args.tls_ca.clone(),
        certificate: args.tls_cert.clone(),
        key: args.tls_key.clone(),
        server_name: args.tls_server_name.clone(),
    };
    let several = args.to.len() > 1;
    let to = |url: &String| -> anyhow::Result<To> {
        let target = Target::open(url, &tls)?;
        Ok(To { name: several.then(|| url.clone()), target, options: options.clone() })
    };
    args.to.iter().map(to).collect()
}

/// When a target is left alone. What is live has a production behind it that cannot be slowed down,
/// only its shadow can; a file is read by somebody who wants every outcome.
pub(super) fn breaker(args: &TargetArgs, is_live: bool) -> Option<BreakerOptions> {
    let share = match args.breaker {
        BreakerArg::Off => return None,
        BreakerArg::Auto if !is_live => return None,
        BreakerArg::Auto => BreakerOptions::default().share,
        BreakerArg::Share(share) => share,
    };
    Some(BreakerOptions { share, slow: args.breaker_latency, rest: args.breaker_rest })
}
