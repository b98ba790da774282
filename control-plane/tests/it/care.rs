//! What a server's own check found reaches who runs the business: in figures, with the time, and without waking anybody.

use std::time::Duration;

use control_plane::care::{self, Care};
use control_plane::{overview, servers};
use tenant_runtime::admin::api::{CareFinding, CareView};

use crate::support::{World, on_each_database};

fn found(checked_ms: i64, repaired: &[bool]) -> CareView {
    let finding = |repaired: &bool| CareFinding {
        what: "diary.txt of Notes".into(),
        why: "its digest is another".into(),
        repaired: *repaired,
    };
    CareView {
        checked_ms: Some(checked_ms),
        objects: 40,
        bytes: 4_000,
        findings: repaired.iter().map(finding).collect(),
        ..CareView::default()
    }
}

#[tokio::test]
async fn what_a_check_found_is_told_on_the_way_to_sleep_and_added_up() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (_, other) = world.sign_up("berta").await;
        let plane = &world.plane;
        let told = async || care::of_servers(plane, &operator, &[made.server, other.server]).await.unwrap();
        let sums = async || overview::overview(plane, &operator).await.unwrap().care;
        let sleep = async || {
            drop(plane.gates().enter(made.server).await);
            plane.gates().sweep(Duration::ZERO).await;
        };
        assert!(told().await.is_empty(), "nobody has told anything yet");
        sleep().await;
        assert_eq!(
            told().await[&made.server],
            Care { told: Some(plane.now()), ..Care::default() },
            "never checked, and says so"
        );
        assert_eq!((sums().await.checked, sums().await.spoiled), (0, 0));

        let checked = plane.now().as_millisecond();
        world.host.cares(found(checked, &[true, false, false]));
        sleep().await;
        assert_eq!(told().await[&made.server].checked, None, "it told within the hour");
        world.clock.forward_minutes(61);
        sleep().await;
        let now = told().await[&made.server];
        assert_eq!(
            (now.checked.map(|at| at.as_millisecond()), now.damaged, now.mended, now.unmended()),
            (Some(checked), 3, 1, 2)
        );
        assert_eq!(now.objects, 40);
        let all = sums().await;
        assert_eq!((all.checked, all.spoiled, all.unmended, all.mended), (1, 1, 2, 1));
        assert_eq!(care::spoiled(plane, &operator).await.unwrap(), [made.server]);

        // The owner looks, and what is mended is mended for both of them.
        world.host.cares(found(checked + 1, &[true, true, true]));
        servers::care(plane, &anna, made.server).await.unwrap();
        assert_eq!((sums().await.unmended, care::spoiled(plane, &operator).await.unwrap().len()), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn whoever_nobody_uses_is_woken_for_a_check_once_in_a_while() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (_, made) = world.sign_up("anna").await;
        let plane = &world.plane;
        let look = async || care::check_unchecked(plane, Duration::from_millis(1)).await.unwrap();
        assert_eq!(look().await, 0, "it is new");
        world.clock.forward_days(29);
        assert_eq!(look().await, 0, "it was woken and did not get to it");
        assert!(care::of_servers(plane, &operator, &[made.server]).await.unwrap().is_empty());
        world.clock.forward_days(2);
        let host = world.host.clone();
        let checking = tokio::spawn(async move {
            for checked in 1.. {
                host.cares(found(checked, &[]));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        // Done as soon as it says so; it is asked far more often than that takes.
        assert_eq!(care::check_unchecked(plane, Duration::from_millis(50)).await.unwrap(), 1);
        checking.abort();
        let now = care::of_servers(plane, &operator, &[made.server]).await.unwrap()[&made.server];
        assert!(now.checked.is_some() && now.damaged == 0, "{now:?}");
    })
    .await;
}
