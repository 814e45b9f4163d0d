//! Argo Rollouts: how one is drawn, and what it promises.

use super::check::{Checked, Checker};
use super::luck::Luck;
use super::promises::{Bound, fenceposts};
use rollsim::fleet::{Phase, Version};
use rollsim::history::Change;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The settings that promises follow from.
pub(super) struct Argo {
    kind: Kind,
    surge: Bound,
    unavailable: Bound,
    /// `minReadySeconds` is set.
    waits: bool,
    /// The weights of its steps, in order.
    weights: Vec<u32>,
    /// The sizes of its `setCanaryScale` steps, in instances.
    scales: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Basic,
    Routed { dynamic: bool },
    BlueGreen,
}

/// What was drawn.
pub(super) struct Drawn {
    pub(super) words: String,
    pub(super) argo: Argo,
    /// Pauses that somebody must end.
    pub(super) open_pauses: usize,
    /// What it takes beside starts and stops, milliseconds.
    pub(super) takes: u64,
    /// How often a whole set may have to start.
    pub(super) rounds: u64,
    pub(super) can_be_stuck: bool,
    pub(super) may_fail: bool,
}

/// Draws one of so many instances, each of which is ready within a time.
pub(super) fn draw(luck: &mut Luck, desired: u32, ready_within: u64) -> Drawn {
    let mut words = "[strategy.case.argo]\n".to_owned();
    let mut line = |line: String| writeln!(words, "{line}").expect("a string takes any line");
    let kind = match luck.within(0, 5) {
        0 | 1 => Kind::Basic,
        2 => Kind::BlueGreen,
        3 => Kind::Routed { dynamic: true },
        _ => Kind::Routed { dynamic: false },
    };
    let min_ready = if luck.percent(30) { luck.within(1, 10) } else { 0 };
    let (is_short, aborts) = (luck.percent(20), luck.percent(50));
    let deadline = min_ready + 1 + if is_short { luck.within(0, ready_within / 500) } else { 10_000_000 };
    line(format!("min_ready_seconds = {min_ready}\nprogress_deadline_seconds = {deadline}"));
    line(format!("progress_deadline_abort = {aborts}\nrollback_window = {}", luck.within(0, 2)));
    let delay = luck.within(0, 60);
    if kind != Kind::Basic {
        line(format!("scale_down_delay_seconds = {delay}"));
        if luck.percent(40) {
            line(format!("abort_scale_down_delay_seconds = {}", luck.within(0, 40)));
        }
    }
    let mut drawn = Steps { takes: 2_000 * (delay + min_ready + 2), ..Steps::default() };
    let (mut surge, mut unavailable) = (Bound::Count(0), Bound::Count(0));
    if kind == Kind::BlueGreen {
        line("[strategy.case.argo.blue_green]".to_owned());
        drawn.blue_green(luck, desired, &mut line);
    } else {
        surge = Bound::Count(luck.count(0, desired + 2));
        let share = luck.count(1, 100);
        unavailable = if luck.percent(50) { Bound::Share(share) } else { Bound::Count(1 + share * desired / 100) };
        line("[strategy.case.argo.canary]".to_owned());
        for (key, bound) in [("max_surge", surge), ("max_unavailable", unavailable)] {
            line(match bound {
                Bound::Count(count) => format!("{key} = {count}"),
                Bound::Share(share) => format!("{key} = \"{share}%\""),
            });
        }
        if let Kind::Routed { dynamic } = kind {
            line(format!("traffic_routing = true\ndynamic_stable_scale = {dynamic}"));
            line(format!("min_pods_per_replica_set = {}", luck.within(0, 3)));
        }
        drawn.canary(luck, desired, kind != Kind::Basic, &mut line);
    }
    Drawn {
        rounds: if kind == Kind::Basic { 4 * u64::from(desired) + 4 } else { 6 } + 2 * drawn.weights.len() as u64,
        argo: Argo { kind, surge, unavailable, waits: min_ready > 0, weights: drawn.weights, scales: drawn.scales },
        open_pauses: drawn.open_pauses,
        takes: drawn.takes,
        can_be_stuck: is_short,
        may_fail: drawn.may_fail || is_short,
        words,
    }
}

#[derive(Default)]
struct Steps {
    weights: Vec<u32>,
    scales: Vec<u32>,
    open_pauses: usize,
    takes: u64,
    may_fail: bool,
}

impl Steps {
    fn metrics(&mut self, luck: &mut Luck, goes_on: bool) -> String {
        let interval = luck.within(500, 10_000);
        let (failed, late, at_least) = (luck.within(0, 100), luck.within(0, 100), luck.within(0, 20));
        let count = luck.within(1, 3);
        self.takes += (count + 5) * interval.max(10_000) + 20_000;
        self.may_fail = true;
        let count = if goes_on { String::new() } else { format!(", count = {count}") };
        let limits = format!("failure_limit = {}, inconclusive_limit = {}", luck.within(0, 2), luck.within(0, 2));
        format!(
            "[{{ max_failed = \"{failed}%\", max_late = \"{late}%\", at_least = {at_least}, interval = \"{interval}ms\"{count}, {limits} }}]"
        )
    }

    fn blue_green(&mut self, luck: &mut Luck, desired: u32, line: &mut impl FnMut(String)) {
        if luck.percent(40) {
            line(format!("preview_replica_count = {}", luck.count(1, desired)));
        }
        let pause = luck.within(0, 20);
        match luck.within(0, 2) {
            0 => {}
            1 => line(format!("auto_promotion_seconds = {pause}")),
            _ => {
                line("auto_promotion_enabled = false".to_owned());
                self.open_pauses += 1;
            }
        }
        self.takes += 1_000 * pause;
        if luck.percent(20) {
            let finds = luck.within(0, 100);
            line(format!("pre_promotion_analysis = [{{ test = {{ takes = \"9s\", finds = \"{finds}%\" }} }}]"));
            self.takes += 9_000;
            // A set that is not ready at the moment does not pass.
            self.may_fail = true;
        }
        if luck.percent(20) {
            let metrics = self.metrics(luck, false);
            line(format!("post_promotion_analysis = {metrics}"));
        }
    }

    fn canary(&mut self, luck: &mut Luck, desired: u32, is_routed: bool, line: &mut impl FnMut(String)) {
        let mut steps = Vec::new();
        for _ in 0..luck.within(0, 5) {
            steps.push(match luck.within(0, if is_routed { 7 } else { 5 }) {
                0 => {
                    self.open_pauses += 1;
                    "{ pause = {} }".to_owned()
                }
                1 => {
                    let pause = luck.millis(20_000);
                    self.takes += pause;
                    format!("{{ pause = {{ duration = \"{pause}ms\" }} }}")
                }
                2 if luck.percent(40) => format!("{{ analysis = {} }}", self.metrics(luck, false)),
                6 => {
                    self.scales.push(luck.count(0, desired + 2));
                    format!("{{ set_canary_scale = {{ replicas = {} }} }}", self.scales[self.scales.len() - 1])
                }
                7 => "{ set_canary_scale = { match_traffic_weight = true } }".to_owned(),
                _ => {
                    self.weights.push(luck.count(0, 100));
                    format!("{{ set_weight = {} }}", self.weights[self.weights.len() - 1])
                }
            });
        }
        line(format!("steps = [{}]", steps.join(", ")));
        if luck.percent(15) {
            let metrics = self.metrics(luck, true);
            line(format!("analysis = {metrics}\nanalysis_starting_step = {}", luck.within(0, 2)));
        }
    }
}

impl Argo {
    /// Instances that may be missing; `is_moved`: another version was asked for in between.
    pub(super) fn missing(&self, desired: u32, is_moved: bool) -> u32 {
        match self.kind {
            // Of a set in between as many go as are not available, but who goes is told by powers of two of ages: one that is
            // available may go before one that is only ready.
            Kind::Basic if self.waits && is_moved => desired,
            Kind::Basic => fenceposts(self.surge, self.unavailable, desired).1,
            // A third version gets nothing yet, and the second one nothing any more: the stable set grows from what it was.
            // Whoever comes back within the window gets the last step's weight at once.
            // And where the weight falls, or a size is given, the canary shrinks at once.
            Kind::Routed { dynamic: true } if is_moved || !self.weights.is_sorted() || !self.scales.is_empty() => {
                desired
            }
            Kind::Routed { .. } | Kind::BlueGreen => 0,
        }
    }

    /// Whether sets are kept for a while that get no requests any more.
    pub(super) fn keeps_old(&self) -> bool {
        self.kind != Kind::Basic
    }

    /// Whether requests are split by version.
    pub(super) fn splits(&self) -> bool {
        self.kind != Kind::Basic
    }

    pub(super) fn is_basic(&self) -> bool {
        self.kind == Kind::Basic
    }

    pub(super) fn is_plainly_routed(&self) -> bool {
        self.kind == Kind::Routed { dynamic: false }
            && self.scales.is_empty()
            && self.weights.len() > 1
            && self.weights.is_sorted()
            && self.weights[0] > 0
    }

    /// The most that the sets of two versions may ask for together.
    fn most(&self, desired: u32) -> u32 {
        match self.kind {
            Kind::Basic => desired + fenceposts(self.surge, self.unavailable, desired).0,
            _ => desired + self.scales.iter().copied().fold(desired, u32::max),
        }
    }
}

impl Checker<'_> {
    pub(super) fn argo_keeps_its_promises(&self, argo: &Argo) -> Checked {
        let commands = self.case.commands;
        if !commands.retargets && self.history.rollback_at.is_none() {
            let most = argo.most(commands.sizes.1);
            for wanted in &self.history.wanted {
                demand!(wanted.desired.iter().sum::<u32>() <= most, "{wanted:?} is more than {most}");
            }
        }
        if self.history.splits.is_empty() || commands.retargets || self.history.rollback_at.is_some() {
            return Ok(());
        }
        // A canary that is not there loses its share for a while, and one that shrinks by an earlier weight's all along.
        if !self.case.is_sound || commands.scales() || !argo.scales.is_empty() {
            return Ok(());
        }
        self.weights_come_in_order(argo)?;
        // Whoever promotes a Rollout that somebody else has paused skips the step, and its wait for pods.
        if argo.weights.is_sorted() && self.case.is_left_to_itself { self.who_gets_requests_is_there() } else { Ok(()) }
    }

    /// The new version's shares are those of the steps, in their order, and then all; none where it is given up.
    fn weights_come_in_order(&self, argo: &Argo) -> Checked {
        let mut ahead = argo.weights.iter().copied().chain([100]);
        for (at, split) in &self.history.splits {
            let share = (split.share(Version::NEW) * 100.0).round() as u32;
            let is_listed = share == 0 || ahead.any(|weight| weight == share);
            demand!(is_listed, "{share} % at {at:?} is no step of {:?}", argo.weights);
        }
        Ok(())
    }

    /// As many new instances are ready as their share of the requests needs.
    fn who_gets_requests_is_there(&self) -> Checked {
        let mut fleet: BTreeMap<u32, Change> = BTreeMap::new();
        let mut changes = self.history.changes.iter().peekable();
        for (at, split) in &self.history.splits {
            while let Some(change) = changes.next_if(|change| change.at <= *at) {
                fleet.insert(change.instance.0, *change);
            }
            let share = (split.share(Version::NEW) * 100.0).round() as u32;
            let serves = |change: &&Change| change.version == Version::NEW && change.to == Phase::Ready;
            let ready = fleet.values().filter(serves).count() as u32;
            let needed = (share * self.case.desired).div_ceil(100);
            demand!(ready >= needed, "{ready} of {needed} are ready for {share} % at {at:?}");
        }
        Ok(())
    }
}
