//! Rules of the store: kept cookies, lifetimes, order and eviction.

use super::super::store::{LONGEST_LIFE, MOST, MOST_OF_A_DOMAIN};
use super::{Refused, World};

const SITE: &str = "http://example.com/";
const DAY: u64 = 24 * 60 * 60;

#[test]
fn a_session_cookie_has_no_end() {
    let mut world = World::new().with(SITE, "a=b");
    world.later(5_000 * DAY);
    assert_eq!(world.sent(SITE), "a=b");
    assert_eq!(world.store.all(world.now)[0].expires(), None);
}

#[test]
fn max_age_counts_from_when_it_came() {
    let mut world = World::new().with(SITE, "a=b; Max-Age=10");
    world.later(9);
    assert_eq!(world.sent(SITE), "a=b");
    world.later(1);
    assert_eq!(world.sent(SITE), "");
    assert_eq!(world.store.len(), 0, "an expired cookie is not kept");
}

#[test]
fn expires_is_a_point_in_time() {
    // The world's time is 22:13:20 of that day.
    let mut world = World::new().with(SITE, "a=b; Expires=Tue, 14 Nov 2023 22:13:30 GMT");
    world.later(9);
    assert_eq!(world.sent(SITE), "a=b");
    world.later(1);
    assert_eq!(world.sent(SITE), "");
}

#[test]
fn max_age_counts_before_expires_wherever_it_stands() {
    for cookie in ["Max-Age=10; Expires=1 Jan 2000 00:00:00", "Expires=1 Jan 2000 00:00:00; Max-Age=10"] {
        assert_eq!(World::new().with(SITE, &format!("a=b; {cookie}")).sent(SITE), "a=b", "{cookie}");
    }
    let over = "a=b; Max-Age=0; Expires=1 Jan 2024 00:00:00";
    assert_eq!(World::new().with(SITE, over).sent(SITE), "");
    let unusable = "a=b; Max-Age=soon; Expires=1 Jan 2024 00:00:00";
    assert_eq!(World::new().with(SITE, unusable).sent(SITE), "a=b");
}

#[test]
fn nothing_lives_longer_than_400_days() {
    for end in ["Max-Age=99999999999999999999", "Max-Age=34560001", "Expires=1 Jan 9999 00:00:00"] {
        let mut world = World::new().with(SITE, &format!("a=b; {end}"));
        assert_eq!(world.store.all(world.now)[0].expires(), Some(world.now + LONGEST_LIFE), "{end}");
        world.later(400 * DAY - 1);
        assert_eq!(world.sent(SITE), "a=b", "{end}");
        world.later(1);
        assert_eq!(world.sent(SITE), "", "{end}");
    }
}

#[test]
fn an_expired_one_removes_the_one_it_replaces_and_no_other() {
    for end in ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Expires=1 Jan 1601 00:00:00"] {
        let mut world = World::new().with(SITE, "a=1").with(SITE, "b=2").with(SITE, "a=3; Path=/x");
        world.set(SITE, &format!("a=; {end}")).unwrap();
        assert_eq!(world.sent("http://example.com/x"), "a=3; b=2", "{end}");
        assert_eq!(world.store.len(), 2);
    }
}

#[test]
fn a_cookie_set_again_after_its_removal_lives() {
    let mut world = World::new().with(SITE, "a=1; Max-Age=10").with(SITE, "a=; Max-Age=0").with(SITE, "a=2");
    world.later(11);
    assert_eq!(world.sent(SITE), "a=2");
    let mut world = World::new().with(SITE, "a=1; Max-Age=10").with(SITE, "a=2; Max-Age=100");
    world.later(11);
    assert_eq!(world.sent(SITE), "a=2");
}

#[test]
fn name_domain_and_path_make_a_cookie() {
    let mut world = World::new();
    for cookie in ["a=1", "A=2", "a=3; Path=/x", "a=4; Domain=example.com", "b=5"] {
        world.set(SITE, cookie).unwrap();
    }
    assert_eq!(world.store.len(), 5);
    assert_eq!(world.sent("http://example.com/x"), "a=3; a=1; A=2; a=4; b=5");
    world.set(SITE, "a=6; HttpOnly; SameSite=Lax; Max-Age=10").unwrap();
    assert_eq!(world.sent("http://example.com/x"), "a=3; a=6; A=2; a=4; b=5");
    assert_eq!(world.store.len(), 5);
}

#[test]
fn longer_paths_go_first_then_those_that_came_first() {
    let mut world = World::new()
        .with(SITE, "a=1; Path=/")
        .with(SITE, "b=2; Path=/x/y")
        .with(SITE, "c=3; Path=/x")
        .with(SITE, "d=4; Path=/; Domain=example.com")
        .with(SITE, "e=5; Path=/x");
    assert_eq!(world.sent("http://example.com/x/y"), "b=2; c=3; e=5; a=1; d=4");
}

#[test]
fn an_update_keeps_the_place_in_the_order() {
    let mut world = World::new().with(SITE, "a=1").with(SITE, "b=2").with(SITE, "a=3");
    assert_eq!(world.sent(SITE), "a=3; b=2");
    let mut world = world.with(SITE, "a=; Max-Age=0").with(SITE, "a=4");
    assert_eq!(world.sent(SITE), "b=2; a=4");
}

#[test]
fn a_cookie_without_a_name_is_one_of_its_own() {
    let mut world = World::new().with(SITE, "x").with(SITE, "=y").with(SITE, "x=");
    assert_eq!(world.store.len(), 2);
    assert_eq!(world.sent(SITE), "=y; x=");
}

#[test]
fn a_clock_that_is_set_back_confuses_no_order() {
    let mut world = World::new().with(SITE, "a=1");
    world.now -= std::time::Duration::from_secs(DAY);
    assert_eq!(world.with(SITE, "b=2").sent(SITE), "a=1; b=2");
}

#[test]
fn of_a_domain_50_are_kept_and_the_one_used_longest_ago_goes() {
    let mut world = World::new().with("http://other.com/", "other=1");
    for number in 0..MOST_OF_A_DOMAIN {
        world.set(SITE, &format!("n{number}=x; Path=/{number}")).unwrap();
    }
    assert_eq!(world.sent("http://example.com/0"), "n0=x", "now it is used");
    world.set("http://www.example.com/", "of=all; Domain=example.com").unwrap();
    assert_eq!(world.store.len(), MOST_OF_A_DOMAIN + 1);
    let names = world.names();
    assert!(names.contains(&"n0".into()) && names.contains(&"of".into()) && names.contains(&"other".into()));
    assert!(!names.contains(&"n1".into()), "{names:?}");
    // An update needs no room.
    world.set(SITE, "n2=y; Path=/2").unwrap();
    assert_eq!(world.names().len(), names.len());
}

#[test]
fn what_is_secure_goes_last() {
    let https = "https://example.com/";
    let mut world = World::new().with(https, "first=x; Secure");
    for number in 2..MOST_OF_A_DOMAIN {
        world.set(https, &format!("n{number}=x; Secure")).unwrap();
    }
    world.set(SITE, "plain=x").unwrap();
    world.set(https, "one-more=x; Secure").unwrap();
    assert!(!world.names().contains(&"plain".into()));
    assert_eq!(world.set(SITE, "plain=x"), Err(Refused::NoRoom));
    assert_eq!(world.store.len(), MOST_OF_A_DOMAIN);
    assert!(world.names().contains(&"first".into()));
    world.set(https, "another=x; Secure").unwrap();
    assert!(!world.names().contains(&"first".into()));
}

#[test]
fn expired_ones_go_before_all_others() {
    let mut world = World::new();
    for number in 1..MOST_OF_A_DOMAIN {
        world.set(SITE, &format!("n{number}=x")).unwrap();
    }
    world.set("https://example.com/", "short=x; Secure; Max-Age=10").unwrap();
    world.later(10);
    world.set(SITE, "new=x").unwrap();
    let names = world.names();
    assert!(names.len() == MOST_OF_A_DOMAIN && names.contains(&"n1".into()) && names.contains(&"new".into()));
}

#[test]
fn in_all_3000_are_kept_and_the_one_used_longest_ago_goes() {
    let mut world = World::new();
    for number in 0..MOST {
        world.set(&format!("http://host{number}.example.com/"), "a=b").unwrap();
    }
    assert_eq!(world.sent("http://host0.example.com/"), "a=b");
    world.set(SITE, "a=b").unwrap();
    assert_eq!(world.store.len(), MOST);
    assert_eq!(world.sent("http://host0.example.com/"), "a=b");
    assert_eq!(world.sent("http://host1.example.com/"), "");
    assert_eq!(world.sent("http://host2.example.com/"), "a=b");
}

#[test]
fn what_is_removed_is_gone_and_nothing_else() {
    let mut world = World::new().with(SITE, "a=1").with(SITE, "a=2; Path=/x").with(SITE, "b=3; Max-Age=9");
    let cookie = world.store.all(world.now)[1].clone();
    world.set(SITE, "a=new; Path=/x").unwrap();
    assert!(world.store.remove(&cookie));
    assert!(!world.store.remove(&cookie));
    assert_eq!(world.sent("http://example.com/x"), "a=1; b=3");
    world.store.retain(|cookie| cookie.expires().is_some());
    assert_eq!((world.names(), world.store.len()), (vec!["b".to_owned()], 1));
}
