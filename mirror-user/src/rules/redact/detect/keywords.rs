//! The keywords with which secrets start, by who issues them, and the form of what follows.

use super::Detector::{self, AwsKey, GithubToken, PrivateKey, ServiceToken, StripeKey};
use super::secret::is_base64url;

/// What follows a word.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Scheme,
    Basic,
    Pem,
    Putty,
    /// At least this many of these characters.
    Run(Class, usize),
    /// Exactly this many.
    Exactly(Class, usize),
}

#[derive(Clone, Copy)]
pub(super) enum Class {
    /// Capital letters and digits.
    Upper,
    /// Small hexadecimal digits.
    Hex,
    /// Letters, digits, underscores.
    Word,
    /// Letters, digits, underscores, hyphens.
    Url,
    /// Also the other characters of base64 and paths.
    Path,
}

impl Class {
    pub(super) fn has(self, byte: &u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
            Self::Word => byte.is_ascii_alphanumeric() || *byte == b'_',
            Self::Url => is_base64url(byte),
            Self::Path => byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(byte),
        }
    }
}

use Shape::{Exactly, Run};

/// A keyword and the form of the secret that follows it.
pub(super) struct Word {
    pub(super) text: &'static str,
    pub(super) what: Detector,
    pub(super) shape: Shape,
}

const fn word(text: &'static str, what: Detector, shape: Shape) -> Word {
    Word { text, what, shape }
}

/// Keywords without a rare byte. Schemes are listed in their three usual spellings; in `Authorization`, any
/// case is recognized.
pub(super) static PLAIN: [Word; 26] = [
    word("Bearer", Detector::Bearer, Shape::Scheme),
    word("bearer", Detector::Bearer, Shape::Scheme),
    word("BEARER", Detector::Bearer, Shape::Scheme),
    word("Basic", Detector::Basic, Shape::Basic),
    word("basic", Detector::Basic, Shape::Basic),
    word("BASIC", Detector::Basic, Shape::Basic),
    word("AKIA", AwsKey, Exactly(Class::Upper, 16)),
    word("ASIA", AwsKey, Exactly(Class::Upper, 16)),
    word("ABIA", AwsKey, Exactly(Class::Upper, 16)),
    word("ACCA", AwsKey, Exactly(Class::Upper, 16)),
    // Google
    word("AIza", ServiceToken, Run(Class::Url, 30)),
    // Databricks
    word("dapi", ServiceToken, Run(Class::Hex, 32)),
    // Atlassian
    word("ATATT3", ServiceToken, Run(Class::Path, 40)),
    // Bitbucket
    word("ATCTT3", ServiceToken, Run(Class::Path, 40)),
    word("ATBB", ServiceToken, Run(Class::Word, 32)),
    // Square
    word("EAAA", ServiceToken, Run(Class::Url, 50)),
    // Facebook
    word("EAAB", ServiceToken, Run(Class::Word, 60)),
    word("EAAC", ServiceToken, Run(Class::Word, 60)),
    word("EAAG", ServiceToken, Run(Class::Word, 60)),
    // Google's refresh tokens and storage keys
    word("1//0", ServiceToken, Run(Class::Url, 30)),
    word("GOOG1E", ServiceToken, Run(Class::Upper, 40)),
    // JFrog, EasyPost, Alibaba, Tencent
    word("AKCp", ServiceToken, Run(Class::Word, 60)),
    word("EZAK", ServiceToken, Run(Class::Word, 50)),
    word("LTAI", ServiceToken, Run(Class::Word, 16)),
    word("AKID", ServiceToken, Run(Class::Word, 32)),
    // Okta's scheme
    word("SSWS", ServiceToken, Shape::Scheme),
];

/// Keywords with a rare byte. Checksums in tokens are not verified: a wrong one may be that of another
/// version.
pub(super) static MARKED: [Word; 106] = [
    word("ghp_", GithubToken, Run(Class::Word, 22)),
    word("gho_", GithubToken, Run(Class::Word, 22)),
    word("ghu_", GithubToken, Run(Class::Word, 22)),
    word("ghs_", GithubToken, Run(Class::Word, 22)),
    word("ghr_", GithubToken, Run(Class::Word, 22)),
    word("github_pat_", GithubToken, Run(Class::Word, 22)),
    word("sk_live_", StripeKey, Run(Class::Word, 10)),
    word("sk_test_", StripeKey, Run(Class::Word, 10)),
    word("rk_live_", StripeKey, Run(Class::Word, 10)),
    word("rk_test_", StripeKey, Run(Class::Word, 10)),
    word("whsec_", StripeKey, Run(Class::Path, 10)),
    word("-----BEGIN", PrivateKey, Shape::Pem),
    word("---- BEGIN", PrivateKey, Shape::Pem),
    word("PuTTY-User-Key-File", PrivateKey, Shape::Putty),
    word("AGE-SECRET-KEY-1", PrivateKey, Run(Class::Upper, 40)),
    // Slack
    word("xoxa-", ServiceToken, Run(Class::Url, 10)),
    word("xoxb-", ServiceToken, Run(Class::Url, 10)),
    word("xoxc-", ServiceToken, Run(Class::Url, 10)),
    word("xoxd-", ServiceToken, Run(Class::Url, 10)),
    word("xoxe-", ServiceToken, Run(Class::Url, 10)),
    word("xoxo-", ServiceToken, Run(Class::Url, 10)),
    word("xoxp-", ServiceToken, Run(Class::Url, 10)),
    word("xoxr-", ServiceToken, Run(Class::Url, 10)),
    word("xoxs-", ServiceToken, Run(Class::Url, 10)),
    word("xapp-", ServiceToken, Run(Class::Url, 12)),
    word("hooks.slack.com/", ServiceToken, Run(Class::Path, 20)),
    // Discord's webhooks
    word("discord.com/api/webhooks/", ServiceToken, Run(Class::Path, 60)),
    word("discordapp.com/api/webhooks/", ServiceToken, Run(Class::Path, 60)),
    // GitLab: all of its prefixes end in these.
    word("glpat-", ServiceToken, Run(Class::Path, 16)),
    word("gldt-", ServiceToken, Run(Class::Url, 16)),
    word("glrt-", ServiceToken, Run(Class::Path, 16)),
    word("glcbt-", ServiceToken, Run(Class::Url, 16)),
    word("glptt-", ServiceToken, Run(Class::Url, 16)),
    word("glsoat-", ServiceToken, Run(Class::Url, 16)),
    word("gloas-", ServiceToken, Run(Class::Url, 16)),
    word("glagent-", ServiceToken, Run(Class::Url, 16)),
    // Google
    word("ya29.", ServiceToken, Run(Class::Path, 16)),
    word("GOCSPX-", ServiceToken, Run(Class::Url, 16)),
    // Packages: npm, PyPI, RubyGems, Docker
    word("npm_", ServiceToken, Run(Class::Word, 30)),
    word("pypi-", ServiceToken, Run(Class::Url, 32)),
    word("rubygems_", ServiceToken, Run(Class::Word, 32)),
    word("dckr_", ServiceToken, Run(Class::Url, 20)),
    // OpenAI, Anthropic, OpenRouter and others
    word("sk-", ServiceToken, Run(Class::Url, 20)),
    word("hf_", ServiceToken, Run(Class::Word, 30)),
    word("gsk_", ServiceToken, Run(Class::Word, 30)),
    word("xai-", ServiceToken, Run(Class::Url, 30)),
    // SendGrid, Mailgun
    word("SG.", ServiceToken, Run(Class::Path, 32)),
    word("key-", ServiceToken, Exactly(Class::Hex, 32)),
    // Shopify, DigitalOcean (`dop_v1_`, `doo_v1_`, `dor_v1_`), Vault, Square, Grafana
    word("shpat_", ServiceToken, Run(Class::Word, 32)),
    word("shpca_", ServiceToken, Run(Class::Word, 32)),
    word("shppa_", ServiceToken, Run(Class::Word, 32)),
    word("shpss_", ServiceToken, Run(Class::Word, 32)),
    word("shptka_", ServiceToken, Run(Class::Word, 32)),
    word("_v1_", ServiceToken, Run(Class::Hex, 40)),
    word("hvs.", ServiceToken, Run(Class::Url, 24)),
    word("sq0atp-", ServiceToken, Run(Class::Url, 18)),
    word("sq0csp-", ServiceToken, Run(Class::Url, 18)),
    word("sq0idb-", ServiceToken, Run(Class::Url, 18)),
    word("sq0idp-", ServiceToken, Run(Class::Url, 18)),
    word("glsa_", ServiceToken, Run(Class::Word, 32)),
    word("glc_", ServiceToken, Run(Class::Path, 32)),
    word("hvb.", ServiceToken, Run(Class::Url, 24)),
    word("hvr.", ServiceToken, Run(Class::Url, 24)),
    // More of GitLab's
    word("glffct-", ServiceToken, Run(Class::Url, 16)),
    word("glimt-", ServiceToken, Run(Class::Url, 16)),
    word("glft-", ServiceToken, Run(Class::Url, 16)),
    // Clouds and hosting: Doppler, HubSpot, Supabase, PlanetScale, Pulumi, Terraform, Cloudflare, Heroku,
    // Netlify, Render, Fly
    word("dp.pt.", ServiceToken, Run(Class::Word, 40)),
    word("dp.st.", ServiceToken, Run(Class::Path, 40)),
    word("dp.ct.", ServiceToken, Run(Class::Word, 40)),
    word("pat-na1-", ServiceToken, Run(Class::Url, 30)),
    word("pat-eu1-", ServiceToken, Run(Class::Url, 30)),
    word("sbp_", ServiceToken, Run(Class::Hex, 40)),
    word("pscale_tkn_", ServiceToken, Run(Class::Path, 32)),
    word("pscale_pw_", ServiceToken, Run(Class::Path, 32)),
    word("pscale_oauth_", ServiceToken, Run(Class::Path, 32)),
    word("pul-", ServiceToken, Exactly(Class::Hex, 40)),
    word(".atlasv1.", ServiceToken, Run(Class::Path, 40)),
    word("v1.0-", ServiceToken, Run(Class::Url, 140)),
    word("HRKU-", ServiceToken, Run(Class::Url, 30)),
    word("nfp_", ServiceToken, Run(Class::Word, 36)),
    word("rnd_", ServiceToken, Run(Class::Word, 28)),
    word("fm2_", ServiceToken, Run(Class::Path, 40)),
    // Observation: New Relic, Sentry, Dynatrace
    word("NRAK-", ServiceToken, Run(Class::Upper, 27)),
    word("NRJS-", ServiceToken, Run(Class::Hex, 19)),
    word("sntrys_", ServiceToken, Run(Class::Path, 40)),
    word("sntryu_", ServiceToken, Run(Class::Hex, 60)),
    word("dt0c01.", ServiceToken, Run(Class::Path, 80)),
    // Work: Linear, Notion, Figma, Postman, Typeform, Contentful, Dropbox, 1Password, Adafruit
    word("lin_api_", ServiceToken, Run(Class::Word, 32)),
    word("lin_oauth_", ServiceToken, Run(Class::Word, 32)),
    word("ntn_", ServiceToken, Run(Class::Word, 40)),
    word("secret_", ServiceToken, Exactly(Class::Word, 43)),
    word("figd_", ServiceToken, Run(Class::Url, 40)),
    word("PMAK-", ServiceToken, Run(Class::Url, 40)),
    word("tfp_", ServiceToken, Run(Class::Url, 40)),
    word("CFPAT-", ServiceToken, Run(Class::Url, 40)),
    word("sl.", ServiceToken, Run(Class::Url, 130)),
    word("ops_eyJ", ServiceToken, Run(Class::Path, 100)),
    word("aio_", ServiceToken, Exactly(Class::Word, 28)),
    // Mail and payments: Brevo, Razorpay, Shippo, Lob
    word("xkeysib-", ServiceToken, Run(Class::Url, 64)),
    word("xsmtpsib-", ServiceToken, Run(Class::Url, 64)),
    word("rzp_live_", ServiceToken, Run(Class::Word, 14)),
    word("shippo_live_", ServiceToken, Run(Class::Hex, 40)),
    word("live_", ServiceToken, Exactly(Class::Hex, 35)),
    // Models: Perplexity, Replicate, NVIDIA
    word("pplx-", ServiceToken, Run(Class::Word, 40)),
    word("r8_", ServiceToken, Run(Class::Word, 37)),
    word("nvapi-", ServiceToken, Run(Class::Url, 60)),
];

/// Twilio's keys begin with two letters, too few for the packed search.
pub(super) static TWILIO: Word = word("SK", ServiceToken, Exactly(Class::Hex, 32));
