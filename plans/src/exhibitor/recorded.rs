//! Recorded answers of a real Exhibitor, for tests.

/// The body of `tests/fixtures/exhibitor/CASE.http` as JSON.
macro_rules! recorded {
    ($case:literal) => {{
        let exchange =
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/exhibitor/", $case, ".http"));
        let exchange = exchange.replace("\r\n", "\n");
        let answer = exchange.split_once("HTTP/1.1 ").unwrap().1;
        let body = answer.split_once("\n\n").unwrap().1;
        serde_json::from_str::<serde_json::Value>(body).unwrap()
    }};
}
pub(crate) use recorded;
