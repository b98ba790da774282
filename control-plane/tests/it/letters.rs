//! Letters wait, leave once, and come back to the operator's eyes when they cannot.

use control_plane::mail::{self, Letter, State};
use control_plane::paging::Ask;
use control_plane::{Actor, Smtp};

use crate::support::{Answer, Database, PostOffice, World, eventually};

fn export_ready() -> Letter {
    Letter::ExportReady {
        server: "anna".into(),
        bytes: 12_430_000,
        link: "http://localhost:8080/servers/anna".into(),
        until: "2026-11-28T12:00:00Z".parse().unwrap(),
    }
}

#[tokio::test]
async fn letters_leave_by_smtp_with_patience_and_only_once() {
    for database in Database::all().await {
        println!("on {}", database.name());
        // The first letter is put off, the second is refused for good.
        let (office, url) = PostOffice::open([Answer::Later, Answer::Never]).await;
        let smtp = Smtp { url, from: "Lindenhof <post@lindenhof.example>".into() };
        let world = World::new(database, Some(smtp)).await;
        let operator = world.set_up().await;
        let plane = &world.plane;
        let (_, made) = world.sign_up("anna").await;
        let states = async || {
            let mut states: Vec<_> =
                mail::outbox(plane, &operator, &Ask::default()).await.unwrap().items.iter().map(|l| l.state).collect();
            states.sort_by_key(|state| state.word());
            states
        };
        eventually("both were tried", async || states().await == [State::Failed, State::Waiting]).await;
        let letters = mail::outbox(plane, &operator, &Ask::default()).await.unwrap().items;
        for letter in &letters {
            assert_eq!(letter.attempts, 1);
            assert!(letter.last_error.as_ref().is_some_and(|error| !error.is_empty()));
            assert_eq!(&mail::letter(plane, &operator, letter.id).await.unwrap(), letter);
        }
        assert_eq!(office.letters().len(), 0);

        world.clock.forward_minutes(2);
        for _ in 0..2 {
            // A step that runs twice writes once.
            mail::post(plane, &Actor::System, made.account, &export_ready(), "export 1").await.unwrap();
        }
        eventually("what can leave has left", async || states().await == [State::Failed, State::Sent, State::Sent])
            .await;
        let taken = office.letters();
        assert_eq!(taken.len(), 2);
        assert!(taken.iter().all(|letter| letter.contains("To: anna@example.org")), "{taken:?}");
        assert!(taken.iter().any(|letter| letter.contains("12.4 MB")), "{taken:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn without_smtp_letters_are_kept_to_be_read() {
    for database in Database::all().await {
        let world = World::new(database, None).await;
        let operator = world.set_up().await;
        let (_, made) = world.sign_up("anna").await;
        mail::post(&world.plane, &Actor::System, made.account, &export_ready(), "export 1").await.unwrap();
        let letters = mail::outbox(&world.plane, &operator, &Ask::default()).await.unwrap().items;
        assert_eq!(letters.len(), 3);
        assert!(letters.iter().all(|letter| letter.state == State::Kept));
        world.end().await;
    }
}
