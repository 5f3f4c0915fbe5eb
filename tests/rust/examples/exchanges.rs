//! As many exchanges as the argument says, by the blocking client: what `tests/c/bench.c` is held against.

use std::time::{Duration, Instant};

use kaltura_app_token::{Client, NewToken, SessionRequest, blocking};

fn main() -> kaltura_app_token::Result<()> {
    let count: u32 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    let builder = Client::builder()
        .partner_id(102)
        .admin_secret("0123456789abcdef0123456789abcdef")
        .service_url(std::env::var("KAT_TEST_URL").unwrap_or_default())
        .network_environment(false);
    let client = blocking::Client::new(builder)?;
    let token = client.add_token(
        &NewToken::new()
            .session_user_id("alice")
            .session_privileges("sview:*,list:*")
            .session_duration(Duration::from_secs(3600)),
    )?;
    let request = SessionRequest::new(token.id, token.token.unwrap_or_else(|| "".into()));
    client.start_session(&request)?;
    let start = Instant::now();
    for _ in 0..count {
        assert!(!client.start_session(&request)?.ks.is_empty());
    }
    println!(
        "{:.0} exchanges/s",
        f64::from(count) / start.elapsed().as_secs_f64()
    );
    Ok(())
}
