//! Names of real services and filters, and names that only look like them.

use super::super::names::{Names, Treatment};
use super::super::{Preset, check_cookie, check_header, check_name};
use super::*;

fn missed(preset: Preset, names: &str, fate: impl Fn(&Names, &[u8]) -> bool) -> Vec<&str> {
    let listed = Names::preset(preset);
    names.split_ascii_whitespace().filter(|name| !fate(&listed, name.as_bytes())).collect()
}

fn is_replaced(fate: Treatment<'_>) -> bool {
    matches!(fate, Treatment::Replace(_))
}

const HEADERS: &str = "Authorization Proxy-Authorization X-Session-Token DD-API-KEY DD-APPLICATION-KEY \
    X-Shopify-Access-Token X-Api-Secret X-Auth-Key X-Figma-Token X-Postmark-Server-Token api-key apikey \
    X-Twilio-Signature Stripe-Signature X-Hub-Signature-256 X-Slack-Signature Circle-Token PRIVATE-TOKEN \
    JOB-TOKEN X-JFrog-Art-Api X-Vault-Token X-Consul-Token X-Nomad-Token X-Parse-REST-API-Key \
    X-Algolia-API-Key X-MBX-APIKEY CB-ACCESS-KEY CB-ACCESS-SIGN CB-ACCESS-PASSPHRASE X-Plex-Token \
    X-RapidAPI-Key X-Amzn-Oidc-Accesstoken Cf-Access-Jwt-Assertion CF-Access-Client-Secret \
    X-MS-TOKEN-AAD-ACCESS-TOKEN X-Forwarded-Access-Token X-Device-Token X-ZUMO-AUTH X-JWT Authentication \
    X-Otp X-GitHub-OTP X-Sid X-WSSE X-Passcode X-Tableau-Auth X-Redmine-API-Key Fastly-Key \
    PayPal-Transmission-Sig Kong-Admin-Token X-License-Key X-Honeycomb-Team X-Sentry-Auth \
    X-Hasura-Admin-Secret X-TrackerToken X-CSRFToken RequestVerificationToken X-WP-Nonce \
    Ocp-Apim-Subscription-Key X-Functions-Key X-aws-ec2-metadata-token X-IDENTITY-HEADER DPoP PHP_AUTH_PW \
    X-Amz-Security-Token X-Firebase-AppCheck X-Ms-Client-Principal X-Amzn-Oidc-Data X-Kerberos-Ticket";

const FIELDS: &str = "password passwd userPassword password2 db_password oauth_token SAMLResponse sid \
    JSESSIONID PHPSESSID connect.sid ASP.NET_SessionId newPassword confirm_password password_confirmation \
    dbpassword user[password] user.password passwords[0] credentials accessToken access_token refreshToken \
    id_token csrf_token csrfmiddlewaretoken client_secret clientSecret secretKey secret_access_key \
    AWSAccessKeyId aws_secret_access_key private_key privateKey encryption_key signing_secret webhookSecret \
    api_keys apiTokens otp otp_code totp mfa_code verification_code pin pinCode cvv cvv2 card_cvc \
    X-Amz-Signature X-Amz-Credential sig signature Signature hmac session session_id sessionToken auth \
    mysql_pwd passphrase jwt id_token_hint_token pass pwd recovery_codes seed_phrase connectionString tokens \
    password_hash passwordValue token_v2 code_verifier client_assertion assertion psk wpa_psk upass \
    kerberos_ticket secretQuestion wallet_key slack_webhook webhookUrl email_code";

/// What Rails, Django, Sentry, Datadog and Cloudflare's HAR sanitizer look for, and what the
/// OpenTelemetry collector's examples block.
const FILTERS: &str = "passw secret token api_key crypt salt certificate otp cvv cvc \
    API_KEY AUTH_TOKEN SECRET_KEY PASS SIGNATURE auth credentials mysql_pwd privatekey private_key session \
    csrftoken sessionid x_csrftoken set_cookie cookie authorization proxy-authorization x_api_key \
    aiohttp_session connect.sid csrf _csrf _csrf_token PHPSESSID _session symfony user_session _xsrf \
    XSRF-TOKEN pwd passphrase public_key access_key secret_key api_key_id private_key_id consumer_id \
    consumer_key consumer_secret sign signed authentication bearer jsessionid asp.net-sessionid sid jwt \
    SAMLRequest SAMLResponse access_token assertion authenticity_token client_secret code_challenge \
    code_verifier id_token password refresh_token x-client-data";

const QUERY: &str =
    "code ticket key appID client_id challenge facetID fcParams serverData shdf usg vses2";

const NONE_OF_THEM: &str = "max_tokens token_type author authors authority prompt_tokens completionTokens \
    total_tokens token_count tokenizer expires_in password_changed_at password_reset_url \
    password_strength secret_name signature_algorithm session_count session_duration auth_method auth_time \
    api_key_name keyboard monkey keyword primary_key sort_key cache_key next_page_token nextPageToken \
    continuation_token pinned spin shipping compass bypass passenger secretary cookie_consent oauth_provider \
    otp_enabled code state key name id value text data hash status design description assign unsigned \
    signal resident precise classic";

const HEADERS_THAT_STAY: &str = "Host Accept User-Agent Content-Type X-Request-Id Idempotency-Key \
    Sec-WebSocket-Key Surrogate-Key Cache-Key Access-Control-Allow-Credentials Sec-CH-UA-Mobile Origin \
    X-Token-Type X-RateLimit-Remaining-Tokens x-ratelimit-limit-tokens traceparent b3 X-B3-TraceId \
    x-datadog-trace-id Sec-WebSocket-Accept Connection X-Amzn-Trace-Id Date Server Vary ETag";

#[test]
fn names_of_credentials_are_known_by_their_words() {
    let header = |names: &Names, name: &[u8]| is_replaced(names.header(name));
    let field = |names: &Names, name: &[u8]| is_replaced(names.field(name));
    let pair = |names: &Names, name: &[u8]| is_replaced(names.pair(name));
    let none = Vec::<&str>::new();
    assert_eq!(missed(Preset::Credentials, HEADERS, header), none);
    assert_eq!(missed(Preset::Credentials, FIELDS, field), none);
    assert_eq!(missed(Preset::Credentials, FIELDS, pair), none);
    assert_eq!(missed(Preset::Credentials, FILTERS, field), none);
    assert_eq!(missed(Preset::Credentials, FILTERS, header), none);
    assert_eq!(missed(Preset::Credentials, QUERY, pair), none);
}

#[test]
fn names_of_counters_and_kinds_are_none_of_them() {
    let none = Vec::<&str>::new();
    let field = |names: &Names, name: &[u8]| !is_replaced(names.field(name));
    let header = |names: &Names, name: &[u8]| !is_replaced(names.header(name));
    assert_eq!(missed(Preset::Credentials, NONE_OF_THEM, field), none);
    assert_eq!(missed(Preset::Pii, HEADERS_THAT_STAY, header), none);
}

#[test]
fn names_of_persons_and_accounts_are_known_by_their_words() {
    let field = |names: &Names, name: &[u8]| is_replaced(names.field(name));
    let personal = "email userEmail contact_email phone phoneNumber mobile_no home_phone address \
        billingAddress address_line_1 street zipCode postal_code dateOfBirth birth_date dob first_name lastName \
        cardNumber card_number cc-number cardholderName exp_month expiryDate last4 track2 ssn \
        social_security_number tax_id cpf cnpj curp dni cuit aadhaar pan passport_no nationalId driversLicense \
        nino nhs_number sin steuer_id codice_fiscale my_number rrn nik snils inn iqama_number tckn tfn iban \
        accountNumber bank_account_number x_forwarded_for x_real_ip ip_address remote_addr \
        cedula amka jmbg hetu kennitala ppsn mrn patient_id nric licensePlate clientName card_holder_name \
        holderName cv2 valid_thru iban_code bic_code transit_number";
    assert_eq!(missed(Preset::Pii, personal, field), Vec::<&str>::new());
}

#[test]
fn own_names_are_patterns_and_what_can_never_match_is_refused() {
    let options = RedactOptions {
        headers: vec!["x-*-ref".into()],
        fields: vec!["*_tag".into()],
        cookies: vec!["who".into()],
        keep: vec!["x-kept-*".into(), "kept".into()],
        ..RedactOptions::preset(Preset::Credentials)
    };
    let names = options.names().expect("names");
    assert!(is_replaced(names.header(b"X-Customer-Ref")) && is_replaced(names.field(b"dogTag")));
    assert!(!is_replaced(names.field(b"X-Customer-Ref")) && !is_replaced(names.header(b"dog_tag")));
    assert_eq!(names.header(b"X-Kept-Token"), Treatment::Keep);
    assert_eq!((names.field(b"kept"), names.cookie(b"kept")), (Treatment::Keep, Treatment::Keep));
    assert!(is_replaced(names.cookie(b"any")));
    for bad in ["", "-", "*", "X Y", "Authorization: Bearer", "Xö", "Content-Length", "a/b"] {
        assert!(check_header(bad).is_err(), "{bad}");
    }
    for bad in ["a=b", "a;b", "a b", "a,b", ""] {
        assert!(check_cookie(bad).is_err(), "{bad}");
    }
    assert!(
        check_name(" a").is_err() && check_name("user name").is_ok() && check_name("größe").is_ok()
    );
}
