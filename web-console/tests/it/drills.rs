//! Asking for exit drills from the page of leaving.

use std::time::Duration;

use axum::http::StatusCode;

use crate::house::House;

#[tokio::test]
async fn whoever_asks_for_too_many_tests_reads_there_when_they_can_have_another() {
    let (house, _operator) = House::open().await;
    let anna = house.person("anna").await;
    let form = [("token".to_owned(), anna.token().await)];
    // One that is under way is that one; each ends soon, for this small host makes no archives.
    for _ in 0..3000 {
        let answer = anna.send("/servers/anna/drills", &form).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((80_000..=86_400).contains(&wait), "{wait}");
            let page = answer.text().await.unwrap();
            for words in ["No other test was begun.", "Try again in 24 hours.", "Last tested export", "Download"] {
                assert!(page.contains(words), "{words:?} in {page}");
            }
            return;
        }
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody was ever told that it is enough");
}
