use super::*;
use crate::fleet::{Fleet, Launch, drawn};
use crate::rollout::{shown, written};

fn settings(kind: Kind) -> Settings {
    Settings {
        kind,
        min_ready: Duration::ZERO,
        progress_deadline: Some(PROGRESS_DEADLINE),
        replacement: None,
        quota: None,
        control_plane: ControlPlane::AT_ONCE,
        commands: Vec::new(),
    }
}

fn rolling(max_surge: u32, max_unavailable: u32) -> Kind {
    Kind::RollingUpdate { max_surge: Bound::Count(max_surge), max_unavailable: Bound::Count(max_unavailable) }
}

/// A rollout under way: sets as large as there are instances, and statuses that tell of them.
fn under_way(settings: &Settings, fleet: &Fleet, desired: u32) -> Memory {
    let view = shown(fleet, desired, &[]);
    let mut memory = settings.memory(desired);
    memory.sets.push(ReplicaSet::new(Version::NEW, 0));
    memory.sets[1].resize(0, desired, settings.kind.bounds(desired).most());
    for set in &mut memory.sets {
        set.size = fleet.live(set.version);
        set.status = settings.status(&view, set.version);
    }
    memory.asked = Asked { revision: 1, target: Version::NEW, desired, paused: false };
    memory.counts = Counts::of(&memory.sets, Version::NEW);
    memory.condition = Condition::new(Reason::ReplicaSetUpdated, view.now);
    memory.complete = false;
    memory.pass_at = Some(view.now);
    memory
}

/// What the sets' controllers do first about a fleet, and the sizes (old, new) that they go by.
fn decide(letters: &str, settings: &Settings) -> (String, u32, u32) {
    let (fleet, desired) = (drawn::fleet(letters), 4);
    let memory = under_way(settings, &fleet, desired);
    let view = shown(&fleet, desired, &[]);
    let passed = settings.decide(&view, &memory);
    assert_eq!(passed.actions, []);
    let decision = settings.decide(&view, &passed.memory);
    let sizes = decision.memory.sizes();
    (written(&decision.actions), sizes[0], sizes[1])
}

/// The sizes (old, new) after one pass.
fn pass(letters: &str, kind: Kind) -> (u32, u32) {
    let (fleet, settings) = (drawn::fleet(letters), settings(kind));
    let mut memory = under_way(&settings, &fleet, 4);
    settings.pass(&shown(&fleet, 4, &[]), &mut memory);
    (memory.sets[0].size, memory.sets[1].size)
}

#[test]
fn a_rolling_pass_makes_one_kind_of_change() {
    let check = |letters, surge, unavailable, sizes| assert_eq!(pass(letters, rolling(surge, unavailable)), sizes);
    //    given  surge unavailable  then (old, new)
    check("oooo", 1, 0, (4, 1)); // one more
    check("oooo", 2, 1, (4, 2)); // growing comes first
    check("oooob", 1, 0, (4, 1)); // wait for it
    check("oooon", 1, 0, (3, 1)); // one old may go
    check("ooon", 1, 0, (3, 2)); // and makes room
    check("oooonn", 2, 0, (2, 2));
    check("oooo", 0, 1, (3, 0)); // no surge: old ones go first
    check("ooob", 0, 1, (3, 1)); // one is missing already
    check("oooo", 0, 4, (0, 0)); // all at once
    check("ddoo", 1, 1, (2, 3)); // who leaves is not counted
    check("nnnn", 1, 0, (0, 4)); // content
}

#[test]
fn old_instances_that_do_not_work_go_first_and_below_the_bound() {
    let check = |letters, surge, unavailable, sizes| assert_eq!(pass(letters, rolling(surge, unavailable)), sizes);
    check("wooob", 1, 1, (3, 1));
    check("wwoo", 0, 1, (3, 0));
    check("woob", 0, 2, (2, 1));
    // New ones that do not work do not free anything.
    check("oooox", 1, 0, (4, 1));
    check("oooxx", 1, 1, (3, 2));
    // And the instance that does not work is the one that goes.
    assert_eq!(decide("owoo", &settings(rolling(0, 1))).0, "-1 +");
}

#[test]
fn recreate_waits_until_the_last_old_one_is_gone() {
    let check = |letters, then, sizes: (u32, u32)| {
        let expected = (String::from(then), sizes.0, sizes.1);
        assert_eq!(decide(letters, &settings(Kind::Recreate)), expected, "{letters}");
    };
    check("oooo", "-0 -1 -2 -3", (0, 0));
    check("dddd", "", (0, 0));
    check("...d", "", (0, 0));
    check("....", "+", (0, 4)); // one, and then two, and the rest
    check("....nnnn", "", (0, 4));
    let early = Settings { replacement: Some(PodReplacement::TerminationStarted), ..settings(Kind::Recreate) };
    assert_eq!(decide("dddd", &early), (String::from("+"), 0, 4));
}

#[test]
fn terminating_instances_hold_room_where_the_policy_says_so() {
    let patient = Settings { replacement: Some(PodReplacement::TerminationComplete), ..settings(rolling(1, 1)) };
    assert_eq!(decide("ddoo", &settings(rolling(1, 1))), (String::from("+"), 2, 3));
    assert_eq!(decide("ddoo", &patient), (String::from("+"), 2, 1));
    // And completion waits for them.
    for (settings, status) in [(patient, Status::Progressing), (settings(rolling(1, 1)), Status::Completed)] {
        let fleet = drawn::fleet("dnnnn");
        let memory = under_way(&settings, &fleet, 4);
        assert_eq!(settings.decide(&shown(&fleet, 4, &[]), &memory).status, status);
    }
}

#[test]
fn a_quota_refuses_pods_and_the_set_is_tried_again_later() {
    let settings = Settings { quota: Some(6), ..settings(rolling(4, 0)) };
    let fleet = drawn::fleet("ooood");
    let memory = under_way(&settings, &fleet, 4);
    let mut view = shown(&fleet, 4, &[]);
    let passed = settings.decide(&view, &memory);
    let first = settings.decide(&view, &passed.memory);
    assert_eq!(written(&first.actions), "+"); // a batch of one
    let full = drawn::fleet("oooodb");
    view.fleet = &full;
    let refused = settings.decide(&view, &first.memory);
    assert_eq!(written(&refused.actions), ""); // of the batch of two, both
    let tried_at = |decision: &Decision<Memory>| decision.memory.sets[1].sync.map(|sync| sync.at);
    assert_eq!(tried_at(&refused), Some(view.now + Duration::from_millis(5)));
    view.now = view.now + Duration::from_millis(5);
    let again = settings.decide(&view, &refused.memory);
    assert_eq!(written(&again.actions), "");
    assert_eq!(tried_at(&again), Some(view.now + Duration::from_millis(10)));
    // Another size is heard of at once.
    let mut memory = again.memory;
    memory.sets[1].resize(0, 4, 8);
    assert_eq!(memory.sets[1].sync, None);
}

#[test]
fn pods_are_created_one_after_the_other_within_the_limit() {
    let limit = Some(Limit { qps: 10.0, burst: 2 });
    let slow = ControlPlane {
        call: Duration::from_millis(4),
        create: Duration::from_millis(3),
        limit,
        ..ControlPlane::AT_ONCE
    };
    let settings = Settings { control_plane: slow, ..settings(rolling(4, 0)) };
    let mut fleet = drawn::fleet("oooo");
    let began = shown(&fleet, 4, &[]).now;
    let (mut memory, mut now) = (under_way(&settings, &fleet, 4), began);
    let mut created = Vec::new();
    while created.len() < 4 {
        let decision = settings.decide(&View { now, ..shown(&fleet, 4, &[]) }, &memory);
        for _ in &decision.actions {
            created.push(now.since(began).as_millis());
            fleet.launch(now, Launch { version: Version::NEW, slot: None, rank: 0, held_out: false });
        }
        memory = decision.memory;
        now = decision.ask_again.expect("there is more to do");
    }
    // One, and its event takes the other token. Then a token comes every 100 ms, and events take their share.
    assert_eq!(created, [0, 100, 200, 400]);
}

#[test]
fn a_third_version_overtakes_the_second() {
    let settings = settings(rolling(1, 1));
    let fleet = drawn::fleet("oobbb");
    let mut memory = under_way(&settings, &fleet, 4);
    let view = View { target: Version(2), revision: 2, ..shown(&fleet, 4, &[]) };
    memory.asked = Asked { revision: 2, target: Version(2), ..memory.asked };
    // There is no room: the third set begins empty, and those of the second that are not ready go first.
    settings.pass(&view, &mut memory);
    assert_eq!(memory.sizes()[..3], [2, 1, 0]);
    settings.pass(&view, &mut memory);
    assert_eq!(memory.sizes()[..3], [2, 1, 2]);
}

#[test]
fn pausing_fills_the_surge_and_stops_the_clock() {
    let settings = settings(rolling(1, 1));
    let fleet = drawn::fleet("ooon");
    let memory = under_way(&settings, &fleet, 4);
    let view = View { halted: true, ..shown(&fleet, 4, &[]) };
    let decision = settings.decide(&view, &memory);
    assert_eq!(decision.memory.sizes()[..2], [4, 1]);
    assert_eq!((decision.status, decision.reported), (Status::Paused, "DeploymentPaused"));
    let view = View { now: view.now + Duration::from_hours(1), halted: false, ..view };
    let decision = settings.decide(&view, &decision.memory);
    assert_eq!(decision.status, Status::Progressing);
    assert_eq!(decision.memory.condition.at, view.now);
}

/// The published examples of rounding: surge up, unavailable down, and never both nothing.
#[test]
fn fenceposts_round_apart() {
    let quarter = Bound::Percent(25);
    for (desired, surge, unavailable) in
        [(1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 1, 1), (5, 2, 1), (7, 2, 1), (8, 2, 2), (10, 3, 2)]
    {
        assert_eq!(resolve_fenceposts(quarter, quarter, desired), (surge, unavailable), "{desired}");
    }
    assert_eq!(resolve_fenceposts(Bound::Percent(0), Bound::Percent(10), 4), (0, 1));
    assert_eq!(Bounds::resolve(Bound::Count(1), Bound::Count(9), 4).unavailable, 4);
}

#[test]
fn the_lack_of_progress_is_reported_a_second_after_the_deadline() {
    let settings = Settings { progress_deadline: Some(Duration::from_secs(10)), ..settings(Kind::Recreate) };
    let fleet = drawn::fleet("....bbbb");
    let mut memory = under_way(&settings, &fleet, 4);
    memory.condition = Condition::new(Reason::ReplicaSetUpdated, SimTime::from_nanos(59_950_000_000));
    let mut view = shown(&fleet, 4, &[]);
    let decision = settings.decide(&view, &memory);
    assert_eq!(decision.status, Status::Progressing);
    assert_eq!(decision.ask_again, Some(SimTime::START + Duration::from_secs(70)));
    view.now = SimTime::START + Duration::from_secs(70);
    let decision = settings.decide(&view, &decision.memory);
    assert_eq!((decision.status, decision.reported), (Status::Stuck, "ProgressDeadlineExceeded"));
}
