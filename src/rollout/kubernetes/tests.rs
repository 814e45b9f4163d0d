use super::*;
use crate::fleet::{Fleet, InstanceId, Launch, drawn};
use crate::rollout::{Action, shown, written};

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
        set.status = settings.status(&view, set);
    }
    memory.asked = Asked { revision: 1, target: Version::NEW, desired, paused: false };
    (memory.observed, memory.revision, memory.sets[1].revision) = (memory.asked, 2, 2);
    memory.counts = Counts::of(&memory.sets, Version::NEW);
    memory.condition = Condition::new(Reason::ReplicaSetUpdated, view.now);
    (memory.complete, memory.old_exist) = (false, true);
    memory.woken_at = Some(view.now);
    memory
}

/// What the sets' controllers do first about a fleet, and the sizes (old, new) that they go by.
fn decide(letters: &str, settings: &Settings) -> (String, u32, u32) {
    let (fleet, desired) = (drawn::fleet(letters), 4);
    let mut memory = under_way(settings, &fleet, desired);
    let view = shown(&fleet, desired, &[]);
    let passed = settings.decide(&view, &mut memory);
    assert_eq!(passed.actions, []);
    let decision = settings.decide(&view, &mut memory);
    let sizes = memory.sizes();
    (written(&decision.actions), sizes[0], sizes[1])
}

/// One pass, for nobody hears of what it writes within the hour.
fn run_one_pass(settings: &Settings, view: &View<'_>, memory: &mut Memory) {
    let alone = ControlPlane { watch: Duration::from_hours(1), ..ControlPlane::AT_ONCE };
    memory.woken_at = Some(view.now);
    Settings { control_plane: alone, ..settings.clone() }.run_passes(view.now, memory);
    assert_eq!(memory.pass, None);
}

/// The sizes (old, new) after one pass.
fn pass(letters: &str, kind: Kind) -> (u32, u32) {
    let (fleet, settings) = (drawn::fleet(letters), settings(kind));
    let mut memory = under_way(&settings, &fleet, 4);
    run_one_pass(&settings, &shown(&fleet, 4, &[]), &mut memory);
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
    assert_eq!(decide("owoo", &settings(rolling(0, 1))).0, "-1");
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
    check("....", "+ + + +", (0, 4));
    check("....nnnn", "", (0, 4));
    let early = Settings { replacement: Some(PodReplacement::TerminationStarted), ..settings(Kind::Recreate) };
    assert_eq!(decide("dddd", &early), (String::from("+ + + +"), 0, 4));
}

#[test]
fn terminating_instances_hold_room_where_the_policy_says_so() {
    let patient = Settings { replacement: Some(PodReplacement::TerminationComplete), ..settings(rolling(1, 1)) };
    assert_eq!(decide("ddoo", &settings(rolling(1, 1))), (String::from("+ + +"), 2, 3));
    assert_eq!(decide("ddoo", &patient), (String::from("+"), 2, 1));
    // And completion waits for them.
    for (settings, status) in [(patient, Status::Progressing), (settings(rolling(1, 1)), Status::Completed)] {
        let fleet = drawn::fleet("dnnnn");
        let mut memory = under_way(&settings, &fleet, 4);
        assert_eq!(settings.decide(&shown(&fleet, 4, &[]), &mut memory).status, status);
    }
}

/// A fleet whose instances begin to be fetched at once, and are gone at once.
struct Cluster {
    settings: Settings,
    fleet: Fleet,
    memory: Memory,
    began: SimTime,
    now: SimTime,
    asked: (u32, Version),
    /// What was done, and after how many milliseconds.
    log: Vec<String>,
}

impl Cluster {
    /// A rollout under way to which nothing has happened yet.
    fn new(letters: &str, settings: Settings) -> Self {
        let fleet = drawn::fleet(letters);
        let mut memory = under_way(&settings, &fleet, 4);
        memory.woken_at = None;
        let began = shown(&fleet, 4, &[]).now;
        Cluster { settings, fleet, memory, began, now: began, asked: (1, Version::NEW), log: Vec::new() }
    }

    /// The instance of this place passes its readiness probe.
    fn becomes_ready(&mut self, place: u32) {
        self.fleet.enter(InstanceId(place), Phase::Ready, self.now);
    }

    fn decide(&mut self) -> Decision {
        let (revision, target) = self.asked;
        let view = View { now: self.now, revision, target, ..shown(&self.fleet, 4, &[]) };
        let sizes = self.memory.sizes();
        let decision = self.settings.decide(&view, &mut self.memory);
        let ms = self.now.since(self.began).as_micros() as f64 / 1000.0;
        for version in Version::all() {
            let (before, after) = (sizes[version.index()], decision.desired[version.index()]);
            if before != after {
                self.log.push(format!("{ms}: {version} {after}"));
            }
        }
        if !decision.actions.is_empty() {
            self.log.push(format!("{ms}: {}", written(&decision.actions)));
        }
        for action in &decision.actions {
            match *action {
                Action::Launch { version, .. } => {
                    self.fleet.launch(self.now, Launch { version, slot: None, rank: 0, held_out: false });
                }
                Action::Terminate { instance, .. } => self.fleet.enter(instance, Phase::Gone, self.now),
                _ => unreachable!("a Deployment asks for nothing else"),
            }
        }
        decision
    }

    /// Decides whenever that is wished for, up to so many milliseconds after the beginning.
    fn run(&mut self, until_ms: u64) {
        let until = self.began + Duration::from_millis(until_ms);
        loop {
            let decision = self.decide();
            let is_content = decision.actions.is_empty() && decision.settled;
            if !is_content {
                continue;
            }
            match decision.ask_again.filter(|at| *at <= until) {
                Some(at) => self.now = at,
                None => break,
            }
        }
        self.now = until;
    }
}

fn of_call(ms: u64) -> ControlPlane {
    ControlPlane { call: Duration::from_millis(ms), ..ControlPlane::AT_ONCE }
}

/// As the defaults promise: 10 ms to the smaller old set, and 32 ms to the next pod.
#[test]
fn a_pod_that_is_ready_makes_room_within_milliseconds() {
    let settings = Settings { control_plane: ControlPlane::default(), ..settings(rolling(1, 0)) };
    let mut cluster = Cluster::new("oooob", settings);
    cluster.becomes_ready(4);
    cluster.run(100);
    assert_eq!(cluster.log, ["10: old 3", "14.5: -0", "25: new 2", "31.5: +"]);
}

#[test]
fn a_status_tells_what_was_read_when_the_sync_began() {
    let mut cluster = Cluster::new("oobb", Settings { control_plane: of_call(10), ..settings(rolling(0, 1)) });
    cluster.becomes_ready(2);
    cluster.run(3);
    cluster.becomes_ready(3);
    cluster.run(9);
    assert_eq!(cluster.memory.sets[1].status.ready, 1, "the other one was not ready yet");
    cluster.run(15);
    assert_eq!(cluster.memory.sets[1].status.ready, 2, "the next sync began when the first one was answered");
}

#[test]
fn a_set_is_silent_while_its_sync_waits_for_its_client() {
    let slow = ControlPlane { limit: Some(Limit { qps: 10.0, burst: 1 }), ..of_call(2) };
    let mut cluster = Cluster::new("oobb", Settings { control_plane: slow, ..settings(rolling(2, 1)) });
    cluster.memory.sets[1].size = 4;
    cluster.run(50);
    cluster.becomes_ready(2);
    cluster.run(250);
    // One, then its event, then the other, then its event: the status has to wait for all of them.
    assert_eq!(cluster.log, ["1: +", "201: +"]);
    assert_eq!(cluster.memory.sets[1].status.ready, 0);
}

#[test]
fn a_write_by_an_old_copy_is_refused() {
    let settings = Settings { control_plane: of_call(10), ..settings(rolling(1, 1)) };
    // The set's status is written while a pass is about to resize it.
    let mut cluster = Cluster::new("oonb", settings.clone());
    cluster.memory.woken_at = Some(cluster.now);
    cluster.run(2);
    cluster.memory.sets[1].edition += 1;
    cluster.run(9);
    assert_eq!(cluster.log, [""; 0]);
    // A set is resized while its status is about to be written: that takes two requests more.
    for (is_resized, told_ms) in [(false, 5), (true, 25)] {
        let mut cluster = Cluster::new("nnnb", settings.clone());
        cluster.becomes_ready(3);
        cluster.run(2);
        cluster.memory.sets[1].edition += u32::from(is_resized);
        cluster.run(told_ms - 1);
        assert_eq!(cluster.memory.sets[1].status.ready, 3);
        cluster.run(told_ms);
        assert_eq!(cluster.memory.sets[1].status.ready, 4);
    }
}

#[test]
fn an_old_set_shrinks_no_further_before_it_has_caught_up() {
    let settings = settings(rolling(2, 0));
    let fleet = drawn::fleet("oooonn");
    let mut memory = under_way(&settings, &fleet, 4);
    memory.sets[0].size = 3; // Its status still tells of four.
    run_one_pass(&settings, &shown(&fleet, 4, &[]), &mut memory);
    assert_eq!(memory.sizes()[..2], [3, 3], "the new one may grow");
    run_one_pass(&settings, &shown(&fleet, 4, &[]), &mut memory);
    assert_eq!(memory.sizes()[..2], [3, 3]);
    memory.sets[0].status.available = 3;
    run_one_pass(&settings, &shown(&fleet, 4, &[]), &mut memory);
    assert_eq!(memory.sizes()[..2], [2, 3]);
}

#[test]
fn an_undo_makes_the_old_set_the_newest_before_it_resizes_it() {
    let settings = Settings { control_plane: of_call(10), ..settings(rolling(1, 0)) };
    let mut cluster = Cluster::new("oooob", settings);
    cluster.asked = (2, Version::OLD);
    cluster.run(100);
    // What is typed is in force after 5 ms, the set's revision after 10, and the size of the other one after 20.
    assert_eq!(cluster.log, ["20: new 0", "25: -4"]);
    assert_eq!((cluster.memory.sets[0].revision, cluster.memory.revision), (3, 3));
}

#[test]
fn a_quota_refuses_pods_and_the_set_is_tried_again_later() {
    let settings = Settings { quota: Some(6), ..settings(rolling(4, 0)) };
    let mut cluster = Cluster::new("ooood", settings);
    cluster.memory.sets[1].size = 4;
    // A batch of one, and one of two, of which both are refused. The pod that came wakes the controller, and it is
    // refused once more. Then it waits as after the first time, and from then on longer.
    cluster.run(0);
    assert_eq!(cluster.log, ["0: +"]);
    for next_ms in [5, 25, 65] {
        let next = cluster.began + Duration::from_millis(next_ms);
        assert_eq!(cluster.memory.sets[1].retry_at, Some(next), "the pause doubles");
        cluster.run(next_ms);
    }
    assert_eq!(cluster.log.len(), 1);
    // What happens to its own pods wakes it earlier.
    for place in [4, 5] {
        cluster.fleet.enter(InstanceId(place), Phase::Gone, cluster.now);
    }
    cluster.run(66);
    assert_eq!(cluster.log[1..], ["65: + +"]);
}

#[test]
fn pods_are_created_one_after_the_other_within_the_limit() {
    let limit = Some(Limit { qps: 10.0, burst: 2 });
    let slow = ControlPlane { create: Duration::from_millis(3), limit, ..of_call(4) };
    let mut cluster = Cluster::new("oooo", Settings { control_plane: slow, ..settings(rolling(4, 0)) });
    cluster.memory.sets[1].size = 4;
    cluster.run(1000);
    // One, and its event takes the other token. Then a token comes every 100 ms, and events take their share.
    assert_eq!(cluster.log, ["5: +", "105: +", "205: +", "405: +"]);
    // Where events were told before, they are dropped as spam, and leave their tokens to others.
    let told_before = Settings { control_plane: ControlPlane { told_before: 30, ..slow }, ..settings(rolling(0, 4)) };
    for (settings, times) in [
        (told_before.clone(), ["2: -0 -1", "102: -2", "202: -3"]),
        (Settings { control_plane: slow, ..told_before }, ["2: -0 -1", "102: -2", "202: -3"]),
    ] {
        let mut cluster = Cluster::new("oooo", settings.clone());
        cluster.memory.sets[0].events_left = settings.memory(4).sets[0].events_left;
        cluster.memory.sets[0].size = 0;
        cluster.run(400);
        assert_eq!(cluster.log[..3], times);
        let left = cluster.memory.sets[0].events_left;
        assert_eq!(left, if settings.control_plane.told_before > 0 { 0 } else { 21 });
    }
}

#[test]
fn readiness_counts_from_when_the_kubelet_found_it() {
    for (kubelet_ms, available_ms) in [(0, 3_000), (20, 2_000)] {
        let kubelet = Duration::from_millis(kubelet_ms);
        let control_plane = ControlPlane { kubelet, ..ControlPlane::AT_ONCE };
        let min_ready = Duration::from_secs(2);
        let kind = rolling(1, 0);
        let mut cluster = Cluster::new("oooob", Settings { min_ready, control_plane, ..settings(kind) });
        cluster.run(1010);
        cluster.becomes_ready(4);
        cluster.run(available_ms - 1);
        assert_eq!(cluster.memory.sets[1].status.available, 0);
        cluster.run(available_ms);
        assert_eq!(cluster.memory.sets[1].status.available, 1);
    }
}

#[test]
fn a_third_version_overtakes_the_second() {
    let settings = settings(rolling(1, 1));
    let fleet = drawn::fleet("oobbb");
    let mut memory = under_way(&settings, &fleet, 4);
    let view = View { target: Version(2), revision: 2, ..shown(&fleet, 4, &[]) };
    memory.asked = Asked { revision: 2, target: Version(2), ..memory.asked };
    // There is no room: the third set begins empty, and those of the second that are not ready go first.
    run_one_pass(&settings, &view, &mut memory);
    assert_eq!(memory.sizes()[..3], [2, 1, 0]);
    run_one_pass(&settings, &view, &mut memory);
    assert_eq!(memory.sizes()[..3], [2, 1, 2]);
}

#[test]
fn pausing_fills_the_surge_and_stops_the_clock() {
    let settings = settings(rolling(1, 1));
    let fleet = drawn::fleet("ooon");
    let mut memory = under_way(&settings, &fleet, 4);
    let view = View { halted: true, ..shown(&fleet, 4, &[]) };
    let decision = settings.decide(&view, &mut memory);
    assert_eq!(memory.sizes()[..2], [4, 1]);
    assert_eq!((decision.status, decision.reported), (Status::Paused, "DeploymentPaused"));
    let view = View { now: view.now + Duration::from_hours(1), halted: false, ..view };
    let decision = settings.decide(&view, &mut memory);
    assert_eq!(decision.status, Status::Progressing);
    assert_eq!(memory.condition.at, view.now);
}

#[test]
fn a_scaled_deployment_shares_out_first_and_rolls_on_later() {
    let settings = settings(rolling(1, 1));
    let fleet = drawn::fleet("ooonn");
    let mut memory = under_way(&settings, &fleet, 4);
    memory.asked.desired = 8;
    let view = View { desired: 8, ..shown(&fleet, 8, &[]) };
    // From 5 to 9 of 4 + 1: three become five, and two become four.
    run_one_pass(&settings, &view, &mut memory);
    assert_eq!(memory.sizes()[..2], [5, 4]);
    assert_eq!(memory.condition.reason, Reason::ReplicaSetUpdated, "nothing is said of progress");
    // Recreate shares nothing out, and scales its only set whatever is on its way out.
    let recreate = self::settings(Kind::Recreate);
    let fleet = drawn::fleet("ddnnnn");
    let mut memory = under_way(&recreate, &fleet, 4);
    memory.asked.desired = 6;
    run_one_pass(&recreate, &View { desired: 6, ..shown(&fleet, 6, &[]) }, &mut memory);
    assert_eq!(memory.sizes()[..2], [0, 6]);
}

#[test]
fn what_was_complete_is_never_stuck() {
    let settings = Settings { progress_deadline: Some(Duration::from_secs(10)), ..settings(rolling(1, 1)) };
    let fleet = drawn::fleet("....nnnx");
    let mut memory = under_way(&settings, &fleet, 4);
    memory.condition = Condition::new(Reason::NewReplicaSetAvailable, SimTime::START);
    memory.complete = true;
    let decision = settings.decide(&shown(&fleet, 4, &[]), &mut memory);
    assert_eq!((decision.status, decision.reported), (Status::Completed, "NewReplicaSetAvailable"));
}

#[test]
fn a_sync_creates_or_deletes_at_most_five_hundred() {
    let control_plane = ControlPlane { watch: Duration::from_secs(1), ..ControlPlane::AT_ONCE };
    let mut cluster = Cluster::new(&"o".repeat(600), Settings { control_plane, ..settings(rolling(1, 1)) });
    cluster.memory.sets[0].size = 0;
    cluster.memory.sets[1].size = 700;
    cluster.run(1999);
    assert_eq!((cluster.fleet.live(Version::OLD), cluster.fleet.live(Version::NEW)), (100, 500));
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
    let decision = settings.decide(&view, &mut memory);
    assert_eq!(decision.status, Status::Progressing);
    assert_eq!(decision.ask_again, Some(SimTime::START + Duration::from_secs(70)));
    view.now = SimTime::START + Duration::from_secs(70);
    let decision = settings.decide(&view, &mut memory);
    assert_eq!((decision.status, decision.reported), (Status::Stuck, "ProgressDeadlineExceeded"));
}
