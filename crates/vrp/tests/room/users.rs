//! Users that are cut by hand.

use model::ids::SessionSerial;
use model::report::UserSelector;
use model::settings::ShellLevel;
use vrp::{ActionRequest, Answer, Shell};

use crate::support::{World, obey};

#[test]
fn a_cut_is_obeyed_at_once_in_the_user_and_the_system_view() {
    let world = World::default();
    let cases = [
        ("user-id 3-17", UserSelector::UserId(SessionSerial { epoch: 3, sequence: 17 })),
        ("username alice@isp1", UserSelector::UserName("alice@isp1".to_owned())),
        ("ip-address 10.0.0.7", UserSelector::Address("10.0.0.7".parse().unwrap())),
        ("ipv6-address 2001:db8::7", UserSelector::Address("2001:db8::7".parse().unwrap())),
        ("session-id BNG000001", UserSelector::SessionId("BNG000001".to_owned())),
    ];
    for before in [None, Some("system-view")] {
        let mut shell = Shell::new(Default::default(), ShellLevel::Management);
        before.into_iter().for_each(|line| drop(obey(&mut shell, &world, line)));
        for (rest, selector) in &cases {
            let answer = shell.execute(&format!("cut access-user {rest}"), &world);
            assert_eq!(answer, Answer::Action(ActionRequest::CutAccessUser(selector.clone())), "{rest}");
            assert!(!shell.uncommitted(), "{rest}");
        }
    }
}

#[test]
fn who_is_meant_must_be_said() {
    let world = World::default();
    let mut shell = Shell::new(Default::default(), ShellLevel::Management);
    for (line, column, what) in [
        ("cut access-user", 16, "Incomplete command"),
        ("cut access-user user-id 3", 25, "Wrong parameter"),
        ("cut access-user ip-address 10.0.0", 28, "Wrong parameter"),
    ] {
        let said = obey(&mut shell, &world, line);
        assert!(said.contains(&format!("{what} found at '^' position.")), "{column}: {said}");
    }
}
