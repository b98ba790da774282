//! From nothing to a server of one's own, and what is said to whoever slips.

use loadtest::platform::{Platform, Wish};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_up_and_is_at_home_on_their_own_server() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let anna = platform.visitor().unwrap();
    let server = anna.sign_up("anna").await.unwrap();

    let home = anna.page(&format!("http://{}/", server.host(None).unwrap())).await.unwrap();
    assert!(home.contains("anna"), "{home}");
    let dashboard = anna.page("/servers/anna").await.unwrap();
    assert!(dashboard.contains("anna") && dashboard.contains("Leave"), "{dashboard}");

    let stranger = platform.visitor().unwrap();
    let seen = stranger.ask("/servers/anna").await.unwrap();
    assert!(seen.url().path().starts_with("/sign-in"), "a stranger ends at {}", seen.url());
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pressing_create_twice_makes_one_server() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let bert = platform.visitor().unwrap();
    let plan = bert.first_plan().await.unwrap();
    let answers = [
        ("address", "bert"),
        ("email", "bert@example.org"),
        ("password", "violet harbour counts seven"),
        ("plan", &plan),
    ];
    let form = bert.form("/sign-up", "/sign-up").await.unwrap().with(&answers);
    let (first, second) = tokio::join!(bert.send(form.clone()), bert.send(form));
    for response in [first.unwrap(), second.unwrap()] {
        assert!(response.status().is_success(), "{}", response.status());
        assert!(response.url().path().starts_with("/servers/bert"), "{}", response.url());
    }
    let servers = platform.operator.page("/operator/servers").await.unwrap();
    assert_eq!(servers.matches(">bert").count().min(1), 1);
    let customers = platform.operator.page("/operator/customers").await.unwrap();
    assert_eq!(customers.matches("bert@example.org").count(), 1, "one customer, not two");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_is_named_beside_the_form_and_makes_nothing() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    platform.visitor().unwrap().sign_up("anna").await.unwrap();
    let carla = platform.visitor().unwrap();
    let plan = carla.first_plan().await.unwrap();
    let good = [
        ("address", "carla"),
        ("email", "carla@example.org"),
        ("password", "violet harbour counts seven"),
        ("plan", &plan),
    ];
    let slips = [
        ("address", "anna", "taken"),
        ("address", "-x-", "letters"),
        ("address", "www", ""),
        ("password", "password1", ""),
        ("email", "not an address", ""),
        ("plan", "none", "Choose"),
    ];
    for (field, answer, says) in slips {
        let form = carla.form("/sign-up", "/sign-up").await.unwrap().with(&good).with(&[(field, answer)]);
        let response = carla.send(form).await.unwrap();
        assert!(response.status().is_client_error(), "{field} = {answer}: {}", response.status());
        let page = response.text().await.unwrap();
        assert!(page.contains(says), "{field} = {answer}: {page}");
        assert!(page.contains("carla"), "what was typed in stays: {page}");
    }
    let customers = platform.operator.page("/operator/customers").await.unwrap();
    assert!(!customers.contains("carla@example.org"), "nothing half made");
    carla.sign_up("carla").await.unwrap();
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_told_when_to_come_again() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    platform.visitor().unwrap().sign_up("anna").await.unwrap();
    let eve = platform.visitor().unwrap();
    let guess = [("email", "anna@example.org"), ("password", "not the password")];
    for _ in 0..8 {
        let form = eve.form("/sign-in", "/sign-in").await.unwrap().with(&guess);
        assert_eq!(eve.send(form).await.unwrap().status(), 422);
    }
    let form = eve.form("/sign-in", "/sign-in").await.unwrap().with(&guess);
    let stopped = eve.send(form).await.unwrap();
    assert_eq!(stopped.status(), 429);
    assert!(stopped.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 800);
    assert!(stopped.text().await.unwrap().contains("Try again in 15 minutes"));
    platform.close().await.unwrap();
}
