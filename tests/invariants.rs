//! What holds whatever is asked for? Ten thousand random small scenarios are judged from their histories by a checker
//! that shares no rule with the engine: the books balance, lives are legal, promises are kept, and sound rollouts
//! come to their end.
//!
//! `ROLLSIM_CASES` says how many scenarios, `ROLLSIM_FIRST_CASE` which is the first; a case depends on its number
//! alone.

use rayon::prelude::*;
use rollsim::engine;
use rollsim::fleet::{Phase, Version};
use rollsim::history::{Cause, Change, History, Ledger, Outcome, Window};
use rollsim::random::{GOLDEN, mix};
use rollsim::scenario::{Scenario, parse};
use rollsim::time::SimTime;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

const CASES: u64 = 10_000;

#[test]
fn thousands_of_rollouts_keep_the_rules() {
    let (first, cases) = (number("ROLLSIM_FIRST_CASE").unwrap_or(0), number("ROLLSIM_CASES").unwrap_or(CASES));
    let judged: Vec<Result<Seen, String>> = (first..first + cases).into_par_iter().map(judge).collect();
    let failures: Vec<&String> = judged.iter().filter_map(|judged| judged.as_ref().err()).collect();
    if let Some(first) = failures.first() {
        for failure in &failures {
            println!("{}", failure.lines().next().unwrap_or_default());
        }
        panic!("{} of {cases} cases fail; the first one is {first}", failures.len());
    }
    if cases >= CASES {
        let seen: Vec<Seen> = judged.into_iter().flatten().collect();
        let share = |is: fn(&Seen) -> bool| seen.iter().filter(|seen| is(seen)).count() as f64 / seen.len() as f64;
        let lively = share(|seen| seen.live);
        assert!(lively > 0.2, "too few cases had to end well: {lively}");
        for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::CutShort) {
            assert!(seen.iter().any(|seen| seen.outcome == outcome), "no case ended {}", outcome.name());
        }
        for cause in Cause::ALL {
            let lost = seen.iter().filter(|seen| seen.lost[cause.index()] > 0).count();
            assert!(lost >= 100, "only {lost} cases lost requests by {}", cause.name());
        }
        let requests = seen.iter().map(|seen| seen.requests).sum::<u64>() / cases;
        println!("{requests} requests a case, {lively:.2} had to end well");
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not `{text}`")))
}

/// What a case brought about, so that the whole can be shown not to be empty.
struct Seen {
    outcome: Outcome,
    lost: [u64; Cause::COUNT],
    requests: u64,
    live: bool,
}

fn judge(number: u64) -> Result<Seen, String> {
    let case = Case::draw(number);
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let scenario = parse(&case.text, Path::new("case.toml")).map_err(|error| error.to_string())?;
        let history = engine::run(&scenario, &scenario.strategies[0].strategy, 0);
        Checker { case: &case, scenario: &scenario, history: &history }.check()
    }));
    let judged = judged.unwrap_or_else(|_| Err("a panic, see above".to_owned()));
    judged.map_err(|problem| format!("ROLLSIM_FIRST_CASE={number}: {problem}\n{}", case.text))
}

// --- the cases
// -------------------------------------------------------------------------------------------------------

/// SplitMix64.
struct Luck(u64);

impl Luck {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// From `low` to `high`, both possible.
    fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.bits() % (high - low + 1)
    }

    fn count(&mut self, low: u32, high: u32) -> u32 {
        u32::try_from(self.within(low.into(), high.into())).expect("between two of them")
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.within(1, 100) <= percent
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.within(0, words.len() as u64 - 1) as usize]
    }

    /// Milliseconds up to a limit; often none at all, and often whole seconds.
    fn millis(&mut self, longest: u64) -> u64 {
        match self.within(0, 3) {
            0 => 0,
            1 => self.within(0, longest / 1000) * 1000,
            _ => self.within(0, longest),
        }
    }

    /// A delay as it is written, and milliseconds that it will hardly ever exceed.
    fn delay(&mut self, longest: u64) -> Delay {
        let typical = self.within(1, longest);
        match self.within(0, 7) {
            0 => Delay::fixed(0),
            1 => Delay {
                text: format!(r#"{{ uniform = {{ low = "0s", high = "{typical}ms" }} }}"#),
                longest: typical,
                is_fixed: false,
            },
            2 => Delay::drawn(typical, "exponential", &format!(r#"mean = "{typical}ms""#)),
            3 => Delay::drawn(typical, "gamma", &format!(r#"shape = 2.5, mean = "{typical}ms""#)),
            4 => Delay::drawn(typical, "weibull", &format!(r#"shape = 1.5, scale = "{typical}ms""#)),
            5 => Delay::drawn(typical, "lognormal", &format!(r#"median = "{typical}ms", p95 = "{}ms""#, typical * 2)),
            _ => Delay::fixed(self.millis(longest)),
        }
    }
}

struct Delay {
    text: String,
    longest: u64,
    is_fixed: bool,
}

impl Delay {
    fn fixed(millis: u64) -> Self {
        Delay { text: format!(r#""{millis}ms""#), longest: millis, is_fixed: true }
    }

    fn drawn(typical: u64, name: &str, parameters: &str) -> Self {
        Delay { text: format!("{{ {name} = {{ {parameters} }} }}"), longest: typical * 30, is_fixed: false }
    }
}

/// A scenario, and what may be demanded of its runs.
#[expect(clippy::struct_excessive_bools, reason = "each says what may be demanded, and they are independent")]
struct Case {
    text: String,
    desired: u32,
    orchestrator: Orchestrator,
    /// Nothing is broken and nothing breaks.
    is_sound: bool,
    /// Nobody but the orchestrator and its user has a say.
    is_left_alone: bool,
    /// The user asks for the old version again.
    is_undone: bool,
    /// The window is long enough for any rollout that can end.
    has_time: bool,
    has_defect: bool,
    has_timeout: bool,
    attempts: u32,
    /// Whoever is listed still serves when the last balancer has heard that it is not.
    never_stale: bool,
    /// An old task of Swarm is surely gone before its worker stops waiting for it.
    stops_within_a_minute: bool,
}

/// The settings that promises follow from.
enum Orchestrator {
    Kubernetes { surge: u32, unavailable: u32, min_ready: u64, recreates: bool },
    Swarm { update: Swarm, rollback: Swarm, gives_slots_up: bool },
    Octopus { window: u32, waits_for_ready: bool },
}

#[derive(Clone, Copy)]
struct Swarm {
    parallelism: u32,
    start_first: bool,
}

impl Swarm {
    /// Slots that the workers may have stopped at once.
    fn stopped(self, slots: u32) -> u32 {
        match (self.start_first, self.parallelism) {
            (true, _) => 0,
            (false, 0) => slots,
            (false, workers) => workers.min(slots),
        }
    }
}

impl Orchestrator {
    /// The fewest available instances, before and after the old version was asked for again.
    fn floor(&self, desired: u32, undone: bool) -> u32 {
        let missing = match *self {
            // Octopus takes a process that is up for a target that serves, unless a test tells it otherwise.
            Orchestrator::Kubernetes { recreates: true, .. } | Orchestrator::Octopus { waits_for_ready: false, .. } => {
                desired
            }
            // Who goes first is told by powers of two of ages: one that is available may go before one that is only
            // ready.
            Orchestrator::Kubernetes { min_ready: 1.., .. } if undone => desired,
            Orchestrator::Kubernetes { unavailable, .. } => unavailable,
            // A rollback takes its own slots while those of the update are still on their way.
            Orchestrator::Swarm { update, rollback, .. } => {
                update.stopped(desired) + if undone { rollback.stopped(desired) } else { 0 }
            }
            // The next deployment does not wait for the targets that are in flight.
            Orchestrator::Octopus { window, .. } => {
                if undone {
                    2 * window
                } else {
                    window
                }
            }
        };
        desired.saturating_sub(missing)
    }
}

/// A part of a scenario under way: what is drawn first decides what is drawn later.
struct Draft {
    luck: Luck,
    text: String,
    desired: u32,
    /// The release.
    pull: u64,
    start: u64,
    probe: Option<Probe>,
    drain: u64,
    pre_stop: u64,
    grace: Option<u64>,
    propagation: Delay,
    has_defect: bool,
    has_fault: bool,
}

#[derive(Clone, Copy)]
struct Probe {
    initial_delay: u64,
    period: u64,
    passes: u64,
    failures: u64,
}

impl Probe {
    /// From the process being up to its being ready, at most.
    fn notices_within(self) -> u64 {
        self.initial_delay + self.period * self.passes
    }
}

impl Draft {
    fn line(&mut self, line: impl AsRef<str>) {
        writeln!(self.text, "{}", line.as_ref()).expect("a string takes any line");
    }

    fn maybe(&mut self, percent: u64, line: impl AsRef<str>) {
        if self.luck.percent(percent) {
            self.line(line);
        }
    }

    fn release(&mut self, is_octopus: bool) {
        self.line("[release]");
        let (pull, start) = (self.luck.delay(8_000), self.luck.delay(15_000));
        self.line(format!("pull = {}", pull.text));
        // A broken release that starts again in no time would do so for ever.
        let start = if start.is_fixed { Delay::fixed(start.longest.max(100)) } else { start };
        self.line(format!("start = {}", start.text));
        (self.pull, self.start) = (pull.longest, start.longest);
        if self.luck.percent(50) {
            let probe = Probe {
                initial_delay: self.luck.millis(5_000),
                period: self.luck.within(100, 10_000),
                passes: self.luck.within(1, 3),
                failures: self.luck.within(1, 200),
            };
            let Probe { initial_delay, period, passes, failures } = probe;
            self.line(format!(
                r#"ready_probe = {{ initial_delay = "{initial_delay}ms", period = "{period}ms", success_threshold = {passes}, failure_threshold = {failures} }}"#
            ));
            self.probe = Some(probe);
        }
        if self.luck.percent(30) {
            let (factor, over) = (self.luck.within(1, 5), self.luck.within(1, 60_000));
            let shape = self.luck.pick(&["linear", "exponential"]);
            self.line(format!(r#"warm_up = {{ factor = {factor}, over = "{over}ms", shape = "{shape}" }}"#));
        }
        self.drain = self.luck.millis(10_000);
        self.pre_stop = self.luck.millis(8_000);
        let (drain, pre_stop) = (self.drain, self.pre_stop);
        self.line(format!("drain = \"{drain}ms\"\npre_stop = \"{pre_stop}ms\""));
        if is_octopus || self.luck.percent(60) {
            let grace = self.luck.millis(30_000);
            self.line(format!(r#"grace = "{grace}ms""#));
            self.grace = Some(grace);
        }
        let stop = self.luck.delay(5_000);
        self.line(format!("stop = {}", stop.text));
        self.maybe(30, r#"restart = { initial = "1s", longest = "20s", reset_after = "30s" }"#);
        self.maybe(20, "slowdown = 1.7");
        if self.has_defect {
            self.defect();
        }
    }

    fn defect(&mut self) {
        let mut parts = Vec::new();
        for part in [
            r#"error_rate = "30%""#,
            "slowdown = 4",
            r#"failed_start = "40%""#,
            "never_ready = true",
            r#"crash_after = { exponential = { mean = "20s" } }"#,
        ] {
            if self.luck.percent(30) {
                parts.push(part.to_owned());
            }
        }
        if parts.is_empty() {
            parts.push(r#"error_rate = "100%""#.to_owned());
        }
        if self.luck.percent(50) {
            parts.push(format!(r#"chance = "{}%""#, self.luck.within(0, 100)));
        }
        if self.luck.percent(50) {
            parts.push(format!(r#"appears_after = "{}ms""#, self.luck.millis(30_000)));
        }
        self.line(format!("defect = {{ {} }}", parts.join(", ")));
    }

    fn kubernetes(&mut self) -> Rollout {
        self.line("[strategy.case.kubernetes]");
        let desired = self.desired;
        let recreates = self.luck.percent(15);
        let (mut surge, mut unavailable) = (0, 0);
        if recreates {
            self.line(r#"type = "Recreate""#);
        } else {
            // The surge's share rounds up, the other one down; where both come to nothing, one may go.
            let (share_more, share_fewer) = (self.luck.count(0, 120), self.luck.count(1, 100));
            surge = if self.luck.percent(50) {
                self.line(format!(r#"max_surge = "{share_more}%""#));
                (share_more * desired).div_ceil(100)
            } else {
                let more = self.luck.count(0, desired + 2);
                self.line(format!("max_surge = {more}"));
                more
            };
            unavailable = if surge == 0 || self.luck.percent(50) {
                self.line(format!(r#"max_unavailable = "{share_fewer}%""#));
                share_fewer * desired / 100
            } else {
                let fewer = self.luck.count(0, desired + 2);
                self.line(format!("max_unavailable = {fewer}"));
                fewer.min(desired)
            };
            if surge == 0 && unavailable == 0 {
                unavailable = 1;
            }
        }
        let min_ready = if self.luck.percent(40) { self.luck.within(1, 20) } else { 0 };
        if min_ready > 0 {
            self.line(format!("min_ready_seconds = {min_ready}"));
        }
        let reports_lack_of_progress = self.luck.percent(30);
        if reports_lack_of_progress {
            let deadline = self.luck.within(min_ready + 1, min_ready + 60);
            self.line(format!("progress_deadline_seconds = {deadline}"));
        } else {
            self.line("progress_deadline_seconds = 2147483647");
        }
        let latency = self.luck.millis(2_000);
        self.line(format!(r#"controller_latency = "{latency}ms""#));
        let step = self.start_to_stop(0, 30_000) + 1000 * (min_ready + 1) + 3 * latency;
        Rollout {
            orchestrator: Orchestrator::Kubernetes { surge, unavailable, min_ready, recreates },
            lasts: u64::from(desired) * 2 * step,
            can_be_stuck: reports_lack_of_progress,
            fails_sound_releases: false,
            drains: self.drain,
        }
    }

    fn swarm_config(&mut self, key: &str, actions: &[&str]) -> (Swarm, u64) {
        let parallelism = if self.luck.percent(40) { 1 } else { self.luck.count(0, 5) };
        let start_first = self.luck.percent(40);
        let (delay, monitor) = (self.luck.millis(10_000), self.luck.millis(15_000));
        let action = self.luck.pick(actions);
        let order = if start_first { "start-first" } else { "stop-first" };
        let ratio = self.luck.pick(&["0", "0.1", "0.5", "1"]);
        self.line(format!(
            r#"{key} = {{ parallelism = {parallelism}, delay = "{delay}ms", monitor = "{monitor}ms", max_failure_ratio = {ratio}, failure_action = "{action}", order = "{order}" }}"#
        ));
        let slot = self.start_to_stop(10_000, 10_000) + delay;
        (Swarm { parallelism, start_first }, u64::from(self.desired) * slot + 2 * delay + monitor + 1000)
    }

    fn swarm(&mut self) -> Rollout {
        self.line("[strategy.case.swarm]");
        let (update, forth) = self.swarm_config("update", &["pause", "continue", "rollback"]);
        let (rollback, back) = self.swarm_config("rollback", &["pause", "continue"]);
        let (latency, restart) = (self.luck.millis(4_000), self.luck.within(500, 8_000));
        self.line(format!("stop_latency = \"{latency}ms\"\nrestart_delay = \"{restart}ms\""));
        self.maybe(20, r#"restart_condition = "on-failure""#);
        let gives_slots_up = self.luck.percent(30);
        if gives_slots_up {
            let (attempts, window) = (self.luck.within(1, 3), self.luck.millis(60_000));
            self.line(format!("restart_max_attempts = {attempts}\nrestart_window = \"{window}ms\""));
        }
        // Health is given up before a slow start has come to its end.
        let fails =
            self.probe.is_some_and(|probe| probe.initial_delay + probe.period * (probe.failures - 1) <= self.start);
        Rollout {
            orchestrator: Orchestrator::Swarm { update, rollback, gives_slots_up },
            lasts: forth + back,
            can_be_stuck: false,
            fails_sound_releases: fails,
            drains: self.drain + latency,
        }
    }

    fn octopus(&mut self) -> Rollout {
        self.line("[strategy.case.octopus]");
        let window = self.luck.count(1, self.desired + 2);
        self.line(format!("window_size = {window}"));
        let takes_out = self.luck.percent(60);
        let (going, coming) = (self.luck.millis(5_000), self.luck.millis(5_000));
        if takes_out {
            self.line(format!("take_out = \"{going}ms\"\nput_back = \"{coming}ms\""));
            self.maybe(50, "put_back_always = true");
        }
        let mut test = 0;
        let mut fails = false;
        // A process that is up is enough for a target without a test.
        let mut waits_for_ready = self.probe.is_none();
        if self.luck.percent(60) {
            let finds = self.luck.within(0, 100);
            test = self.luck.millis(60_000);
            self.line(format!(r#"test = {{ takes = "{test}ms", finds = "{finds}%" }}"#));
            fails = self.probe.is_some_and(|probe| test < probe.notices_within());
            waits_for_ready = true;
        }
        let target = self.start_to_stop(0, 0) + going + test + coming;
        Rollout {
            orchestrator: Orchestrator::Octopus { window, waits_for_ready },
            lasts: u64::from(self.desired) * target,
            can_be_stuck: false,
            fails_sound_releases: fails,
            drains: if takes_out { self.drain } else { 0 },
        }
    }

    /// The longest that one instance takes from its launch to being ready, and another one from there to being gone.
    fn start_to_stop(&self, stop_latency: u64, default_grace: u64) -> u64 {
        let ready = self.pull + self.start + self.probe.map_or(0, Probe::notices_within);
        ready + self.drain + stop_latency + self.grace.unwrap_or(default_grace) + 1000
    }

    fn faults(&mut self, lasts: u64) {
        let mtbf = (lasts / self.luck.within(1, 20)).max(5_000);
        if self.luck.percent(60) {
            let (repair, share) = (self.luck.delay(20_000).text, self.luck.within(1, 100));
            self.line(format!("[faults.crash]\nmtbf = \"{mtbf}ms\"\nrepair = {repair}"));
            self.maybe(50, format!(r#"share = "{share}%""#));
        }
        if self.luck.percent(60) {
            let (at, repair) = (self.luck.within(0, lasts / 2), self.luck.delay(20_000).text);
            let whom = match self.luck.within(0, 2) {
                0 => format!(r#"share = "{}%""#, self.luck.within(0, 100)),
                1 => format!("instances = {}", self.luck.count(1, self.desired)),
                _ => "zone = 0".to_owned(),
            };
            self.line(format!("[faults.outage]\nat = \"{at}ms\"\nrepair = {repair}\n{whom}"));
        }
    }

    /// Whether somebody has a say besides the orchestrator and its user, seen from a sound release.
    fn judge(&mut self, can_be_stuck: bool) -> bool {
        self.line("[rollback]");
        match self.luck.within(0, 5) {
            0 => {
                self.line(r#"policy = "none""#);
                false
            }
            1 => {
                self.line(r#"policy = "pause""#);
                can_be_stuck
            }
            2 | 3 => {
                let (notices, then) = (self.luck.delay(30_000).text, self.luck.pick(&["roll-back", "pause"]));
                let watches_requests = self.luck.percent(50);
                let alarm = if watches_requests { r#", alarm = "5%""# } else { "" };
                self.line(format!(
                    r#"policy = {{ operator = {{ notices_after = {notices}, then = "{then}"{alarm} }} }}"#
                ));
                can_be_stuck || watches_requests
            }
            _ => {
                self.line(r#"policy = "orchestrator""#);
                false
            }
        }
    }

    /// Most of some hundred requests come around the beginning of the rollout. Returns the seconds from one to the
    /// next.
    fn traffic(&mut self, rollout_at: u64, run: u64) -> f64 {
        self.line("[traffic]");
        let most = if self.luck.percent(5) { 3_000 } else { 600 };
        let requests = self.luck.within(10, most) as f64;
        let seconds = |millis: u64| millis as f64 / 1000.0;
        let busy = self.luck.within(1, (run - rollout_at) / 4 + 1);
        let gap = match self.luck.within(0, 3) {
            0 => {
                let rate = requests / seconds(run);
                self.line(format!("rate = {rate}"));
                1.0 / rate
            }
            1 => {
                let (rate, amplitude) = (requests / seconds(run), self.luck.within(0, 100));
                let period = self.luck.within(60_000, 600_000);
                let (peak, from) = (self.luck.within(0, period - 1), self.luck.within(0, period - 1));
                self.line(format!(
                    r#"diurnal = {{ mean = {rate}, amplitude = "{amplitude}%", period = "{period}ms", peak_at = "{peak}ms", starts_at = "{from}ms" }}"#
                ));
                1.0 / rate
            }
            _ => {
                let rate = requests / seconds(busy + rollout_at);
                let quiet = (rollout_at + busy, rollout_at + busy + 1 + run / 8);
                self.line(format!(
                    r#"steps = [{{ from = "0s", rate = {rate} }}, {{ from = "{}ms", rate = 0 }}, {{ from = "{}ms", rate = {} }}]"#,
                    quiet.0,
                    quiet.1,
                    rate.min(50.0 / seconds(run)),
                ));
                1.0 / rate
            }
        };
        self.maybe(20, r#"arrivals = "deterministic""#);
        gap
    }

    fn client(&mut self, work_millis: u64) -> (bool, u32) {
        self.line("[client]");
        let has_timeout = self.luck.percent(60);
        if has_timeout {
            let timeout = self.luck.within(1, 4 * work_millis + 1);
            self.line(format!(r#"timeout = "{timeout}ms""#));
        }
        let mut attempts = 1;
        if self.luck.percent(50) {
            attempts = self.luck.count(1, 4);
            let (backoff, more) = (self.luck.millis(work_millis + 1000), self.luck.millis(5_000));
            let (limit, jitter) = (backoff + more, self.luck.within(0, 100));
            self.line(format!(
                r#"retries = {{ attempts = {attempts}, backoff = "{backoff}ms", backoff_limit = "{limit}ms", jitter = "{jitter}%" }}"#
            ));
        }
        (has_timeout, attempts)
    }
}

/// What an orchestrator's table comes to.
struct Rollout {
    orchestrator: Orchestrator,
    /// A bound on the time that it takes forth and back, milliseconds.
    lasts: u64,
    can_be_stuck: bool,
    /// Its checks are too strict for the release even though that is sound.
    fails_sound_releases: bool,
    /// How long an instance serves on before preStop.
    drains: u64,
}

impl Case {
    fn draw(number: u64) -> Case {
        let mut luck = Luck(mix(number));
        let desired = luck.count(1, 12);
        let is_troubled = luck.percent(50);
        let (has_defect, has_fault) = (is_troubled && luck.percent(60), is_troubled && luck.percent(60));
        let propagation = if luck.percent(30) { luck.delay(30_000) } else { luck.delay(1_000) };
        let probe = None;
        let (pull, start, drain, pre_stop, grace) = (0, 0, 0, 0, None);
        let text = String::new();
        let mut draft = Draft {
            luck,
            text,
            desired,
            pull,
            start,
            probe,
            drain,
            pre_stop,
            grace,
            propagation,
            has_defect,
            has_fault,
        };
        draft.finish(number)
    }
}

impl Draft {
    fn finish(&mut self, number: u64) -> Case {
        let desired = self.desired;
        let (workers, zones) = (self.luck.count(1, 4), self.luck.count(1, desired));
        let queue = if self.luck.percent(50) { self.luck.count(0, 3) } else { 100 };
        self.line(format!("[service]\ninstances = {desired}\nworkers = {workers}\nqueue = {queue}\nzones = {zones}"));
        let kind = self.luck.within(0, 2);
        self.release(kind == 2);
        let rollout = match kind {
            0 => self.kubernetes(),
            1 => self.swarm(),
            _ => self.octopus(),
        };
        let is_undone = self.luck.percent(35);
        let undone_after = self.luck.within(0, rollout.lasts / 10);
        if is_undone {
            self.line(format!("commands = [{{ after = \"{undone_after}ms\", do = \"undo\" }}]"));
        }
        let has_time = self.luck.percent(85);
        let enough = 2 * rollout.lasts + undone_after + 60_000;
        let window = if has_time { enough } else { self.luck.within(1, enough) };
        let (warm_up, baseline) = (self.luck.millis(20_000), self.luck.within(1, 30_000));
        let interval = (window / self.luck.within(1, 40)).max(1);
        let run = warm_up + baseline + window;
        let is_meddled_with = self.judge(rollout.can_be_stuck);
        if self.has_fault {
            self.faults(rollout.lasts);
        }
        let gap = self.traffic(warm_up + baseline, run);
        let load = self.luck.within(1, 15) as f64 / 10.0;
        let work = (gap * 1000.0 * load * f64::from(desired * workers)).clamp(1.0, 60_000.0) as u64;
        let is_fixed = self.luck.percent(30);
        let drawn = format!(r#"{{ exponential = {{ mean = "{work}ms" }} }}"#);
        self.line(format!("work = {}", if is_fixed { format!(r#""{work}ms""#) } else { drawn }));
        let (has_timeout, attempts) = self.client(work);
        let policy = self.luck.pick(&["round-robin", "random", "least-connections", "power-of-two"]);
        let draining = self.luck.percent(70);
        let propagation = self.propagation.text.clone();
        self.line(format!("[balancer]\npolicy = \"{policy}\"\ndraining = {draining}\npropagation = {propagation}"));
        self.line(format!(
            "[study]\nreplications = 2\nseed = {number}\nwarm_up = \"{warm_up}ms\"\nbaseline = \"{baseline}ms\"\nwindow = \"{window}ms\"\ninterval = \"{interval}ms\""
        ));
        let grace = self.grace.unwrap_or(match kind {
            0 => 30_000,
            _ => 10_000,
        });
        let is_sound = !self.has_defect && !self.has_fault && !rollout.fails_sound_releases;
        Case {
            text: std::mem::take(&mut self.text),
            desired,
            orchestrator: rollout.orchestrator,
            is_sound,
            is_left_alone: !is_meddled_with,
            is_undone,
            has_time,
            has_defect: self.has_defect,
            has_timeout,
            attempts,
            never_stale: is_sound
                && self.propagation.is_fixed
                && self.propagation.longest <= rollout.drains + self.pre_stop.min(grace),
            stops_within_a_minute: rollout.drains + grace < 60_000,
        }
    }
}

// --- the checker
// -----------------------------------------------------------------------------------------------------

/// Fails the case with a sentence where something does not hold.
macro_rules! demand {
    ($holds:expr, $($sentence:tt)*) => {
        if !$holds {
            return Err(format!($($sentence)*));
        }
    };
}

struct Checker<'a> {
    case: &'a Case,
    scenario: &'a Scenario,
    history: &'a History,
}

type Checked = Result<(), String>;

impl Checker<'_> {
    fn check(&self) -> Result<Seen, String> {
        demand!(self.history.outcome != Outcome::CutShort, "the run was cut short");
        self.the_books_balance()?;
        self.intervals_add_up()?;
        self.losses_have_a_place()?;
        self.causes_have_a_reason()?;
        self.lives_are_legal()?;
        self.nothing_is_asked_for_beyond_the_surge()?;
        self.places_hold_one_process()?;
        self.the_promise_is_kept()?;
        self.the_outcome_fits_the_fleet()?;
        let live = self.must_end_well();
        if live {
            self.it_ends_well()?;
        }
        let History { outcome, attempts, ledger, .. } = self.history;
        Ok(Seen { outcome: *outcome, lost: attempts.failed, requests: ledger.arrivals, live })
    }

    fn rollout_at(&self) -> SimTime {
        SimTime::START + self.scenario.study.rollout_at()
    }

    fn ends_at(&self) -> SimTime {
        SimTime::START + self.scenario.study.ends_at()
    }

    fn the_books_balance(&self) -> Checked {
        let History { ledger, attempts, baseline, window, .. } = self.history;
        one_fate_each("the run", ledger)?;
        let ends: u64 = attempts.succeeded + attempts.failed.iter().sum::<u64>() + attempts.open;
        demand!(attempts.sent == ends, "{} attempts were sent and {ends} ended", attempts.sent);
        demand!(attempts.succeeded == ledger.served, "a request is served by one attempt");
        demand!(attempts.sent >= ledger.arrivals, "every request is tried at least once");
        let most = ledger.arrivals * u64::from(self.case.attempts);
        demand!(attempts.sent <= most, "{} attempts for at most {most}", attempts.sent);
        for cause in Cause::ALL {
            let (failed, lost) = (attempts.failed[cause.index()], ledger.lost[cause.index()]);
            demand!(failed >= lost, "{lost} requests lost and {failed} attempts failed by {cause:?}");
            let is_final = self.case.attempts > 1 || failed == lost;
            demand!(
                is_final,
                "without retries, {failed} failed attempts by {cause:?} lose as many requests, not {lost}"
            );
        }
        for (name, part) in [("the baseline", baseline), ("the window", window)] {
            one_fate_each(name, &part.ledger)?;
            window_adds_up(name, part)?;
        }
        let mut both = baseline.ledger;
        both.add(&window.ledger);
        within("baseline and window", &both, ledger)?;
        let covers_all = !self.scenario.study.warm_up.is_zero() || both == *ledger;
        demand!(covers_all, "without a warm-up, the two windows are the run");
        Ok(())
    }

    fn intervals_add_up(&self) -> Checked {
        let History { intervals, baseline, window, .. } = self.history;
        let study = &self.scenario.study;
        let before = (study.baseline.as_nanos() / study.interval.as_nanos()) as usize;
        let after = study.window.as_nanos().div_ceil(study.interval.as_nanos()) as usize;
        demand!(intervals.len() == before + after, "{} intervals, not {before} + {after}", intervals.len());
        for (place, interval) in intervals.iter().enumerate() {
            one_fate_each(&format!("interval {place}"), &interval.ledger)?;
            demand!(
                interval.latency.len() == interval.ledger.served,
                "interval {place}: a latency for each served request"
            );
        }
        let sum = |intervals: &[rollsim::history::Interval]| {
            let mut sum = Ledger::default();
            for interval in intervals {
                sum.add(&interval.ledger);
            }
            sum
        };
        within("the intervals before the rollout", &sum(&intervals[..before]), &baseline.ledger)?;
        let found = sum(&intervals[before..]);
        demand!(found == window.ledger, "the intervals hold {found:?}, the window {:?}", window.ledger);
        Ok(())
    }

    fn losses_have_a_place(&self) -> Checked {
        let mut lost = [0; Cause::COUNT];
        for (key, requests) in &self.history.losses {
            demand!(*requests > 0, "{key:?} lost nothing");
            let has_place = key.version.is_some() == (key.cause != Cause::NoEndpoint);
            demand!(has_place, "{key:?}: only without an endpoint no instance is concerned");
            demand!(
                key.cause != Cause::Defect || key.version == Some(Version::NEW),
                "{key:?}: the old version is sound"
            );
            lost[key.cause.index()] += requests;
        }
        demand!(lost == self.history.window.ledger.lost, "losses {lost:?}, not {:?}", self.history.window.ledger.lost);
        Ok(())
    }

    fn causes_have_a_reason(&self) -> Checked {
        let failed = |cause: Cause| self.history.attempts.failed[cause.index()];
        let late = failed(Cause::TimedOutWaiting) + failed(Cause::TimedOutInService);
        demand!(self.case.has_timeout || late == 0, "{late} attempts timed out without a time-out");
        demand!(self.case.has_defect || failed(Cause::Defect) == 0, "errors without a defect");
        demand!(!self.case.is_sound || failed(Cause::Crash) == 0, "crashes where nothing breaks");
        let stale = failed(Cause::StaleEndpoint);
        demand!(!self.case.never_stale || stale == 0, "{stale} attempts met nobody, but the news were in time");
        Ok(())
    }

    fn lives_are_legal(&self) -> Checked {
        let mut last: BTreeMap<u32, Change> = BTreeMap::new();
        let mut now = SimTime::START;
        for change in &self.history.changes {
            demand!(change.at >= now && change.at <= self.ends_at(), "{change:?} comes out of order");
            now = change.at;
            demand!(!change.listed || change.to == Phase::Ready, "{change:?}: only who is ready is listed");
            match last.insert(change.instance.0, *change) {
                None => {
                    let is_first_fleet = change.at == SimTime::START && change.version == Version::OLD;
                    let born = if is_first_fleet { Phase::Ready } else { Phase::Pulling };
                    demand!(change.to == born, "{change:?} begins a life");
                    demand!(
                        is_first_fleet || change.at >= self.rollout_at(),
                        "{change:?}: launched before the rollout"
                    );
                }
                Some(before) => {
                    let same = (before.version, before.slot) == (change.version, change.slot);
                    demand!(same, "{change:?} is somebody else than {before:?}");
                    let is_note = before.to == change.to && before.to != Phase::Gone;
                    demand!(is_note || is_legal(before.to, change.to), "{change:?} after {:?}", before.to);
                }
            }
        }
        Ok(())
    }

    fn nothing_is_asked_for_beyond_the_surge(&self) -> Checked {
        let mut now = SimTime::START;
        let Orchestrator::Kubernetes { surge, .. } = self.case.orchestrator else { return Ok(()) };
        let most = self.case.desired + surge;
        for wanted in &self.history.wanted {
            demand!(wanted.at >= now, "{wanted:?} comes out of order");
            now = wanted.at;
            demand!(wanted.desired.iter().sum::<u32>() <= most, "{wanted:?} is more than {most}");
        }
        self.at_every_moment(|at, fleet| {
            let live = fleet.values().filter(|change| is_live(change.to)).count() as u32;
            demand!(live <= most, "{live} live instances at {at:?}, more than {most}");
            Ok(())
        })
    }

    fn places_hold_one_process(&self) -> Checked {
        let of_a_kind: fn(Phase) -> bool = match self.case.orchestrator {
            Orchestrator::Kubernetes { .. } => return Ok(()),
            // A target is empty before the next version is put on it.
            Orchestrator::Octopus { .. } => |phase| phase != Phase::Gone,
            Orchestrator::Swarm { update, .. } => {
                let waits =
                    !update.start_first && self.case.stops_within_a_minute && self.history.rollback_at.is_none();
                if !waits {
                    return Ok(());
                }
                |phase| !matches!(phase, Phase::Gone | Phase::Pulling | Phase::Prepared)
            }
        };
        self.at_every_moment(|at, fleet| {
            let mut slots: Vec<u32> =
                fleet.values().filter(|change| of_a_kind(change.to)).map(|change| change.slot.0).collect();
            slots.sort_unstable();
            let shared = slots.windows(2).find(|pair| pair[0] == pair[1]);
            demand!(shared.is_none(), "two processes at {at:?} in slot {shared:?}");
            Ok(())
        })
    }

    /// Looks at the fleet as each moment leaves it.
    fn at_every_moment(&self, mut look: impl FnMut(SimTime, &BTreeMap<u32, Change>) -> Checked) -> Checked {
        let mut fleet: BTreeMap<u32, Change> = BTreeMap::new();
        for moment in self.history.changes.chunk_by(|a, b| a.at == b.at) {
            for change in moment {
                fleet.insert(change.instance.0, *change);
                if change.to == Phase::Gone {
                    fleet.remove(&change.instance.0);
                }
            }
            look(moment[0].at, &fleet)?;
        }
        Ok(())
    }

    /// When instances become available (+1) and cease to be (-1).
    fn availability(&self) -> BTreeMap<SimTime, i64> {
        let min_ready = match self.case.orchestrator {
            Orchestrator::Kubernetes { min_ready, .. } => Duration::from_secs(min_ready),
            _ => Duration::ZERO,
        };
        let available_from = |ready: SimTime| {
            let is_counted_in_seconds = !min_ready.is_zero() && ready > SimTime::START;
            if !is_counted_in_seconds {
                return ready;
            }
            let whole_second = SimTime::from_nanos(ready.nanos() / 1_000_000_000 * 1_000_000_000);
            (whole_second + min_ready).max(ready)
        };
        let mut steps: BTreeMap<SimTime, i64> = BTreeMap::new();
        let mut listed_since: BTreeMap<u32, SimTime> = BTreeMap::new();
        for change in &self.history.changes {
            if change.listed {
                listed_since.entry(change.instance.0).or_insert(change.at);
            } else if let Some(since) = listed_since.remove(&change.instance.0).map(available_from)
                && since < change.at
            {
                *steps.entry(since).or_default() += 1;
                *steps.entry(change.at).or_default() -= 1;
            }
        }
        for since in listed_since.into_values() {
            *steps.entry(available_from(since)).or_default() += 1;
        }
        steps
    }

    fn the_promise_is_kept(&self) -> Checked {
        if !self.case.is_sound {
            return Ok(());
        }
        let floor = |undone| i64::from(self.case.orchestrator.floor(self.case.desired, undone));
        let mut available = 0;
        for (at, step) in self.availability() {
            available += step;
            let undone = self.history.rollback_at.is_some_and(|undone_at| undone_at <= at);
            demand!(available >= floor(undone), "{available} available at {at:?}, promised are {}", floor(undone));
        }
        Ok(())
    }

    fn live_at_the_end(&self) -> BTreeMap<u32, Change> {
        let mut fleet: BTreeMap<u32, Change> = BTreeMap::new();
        for change in &self.history.changes {
            fleet.insert(change.instance.0, *change);
        }
        fleet.retain(|_, change| change.to != Phase::Gone);
        fleet
    }

    /// What was reported as done is there.
    fn the_outcome_fits_the_fleet(&self) -> Checked {
        let History { outcome, ended_at, rollback_at, .. } = self.history;
        let target = match outcome {
            Outcome::Completed => Version::NEW,
            Outcome::RolledBack => Version::OLD,
            Outcome::Unfinished => {
                demand!(ended_at.is_none(), "what is unfinished has no end: {ended_at:?}");
                return Ok(());
            }
            Outcome::Paused | Outcome::Stuck | Outcome::Failed | Outcome::CutShort => {
                demand!(ended_at.is_some(), "{outcome:?} since when?");
                return Ok(());
            }
        };
        demand!(rollback_at.is_some() == (target == Version::OLD), "{outcome:?}, asked for at {rollback_at:?}");
        let ended_at = ended_at.ok_or("done, but when?")?;
        demand!(ended_at >= self.rollout_at() && ended_at <= self.ends_at(), "done at {ended_at:?}");
        let live = |version: Version| {
            self.live_at_the_end().values().filter(|change| is_live(change.to) && change.version == version).count()
        };
        let (there, others) = (live(target), target.others().map(live).sum::<usize>());
        // Where replacements are limited, Swarm leaves a slot empty in the end, and calls that done, too.
        let may_lack = matches!(self.case.orchestrator, Orchestrator::Swarm { gives_slots_up: true, .. });
        let is_enough = there == self.case.desired as usize || may_lack && there < self.case.desired as usize;
        demand!(is_enough, "{outcome:?} with {there} of {}", self.case.desired);
        // Swarm keeps the old task of a slot whose new one did not run.
        let may_keep_others = matches!(self.case.orchestrator, Orchestrator::Swarm { .. }) && !self.case.is_sound;
        demand!(may_keep_others || others == 0, "{outcome:?}, but {others} others live");
        Ok(())
    }

    fn must_end_well(&self) -> bool {
        self.case.is_sound && self.case.is_left_alone && self.case.has_time
    }

    fn it_ends_well(&self) -> Checked {
        let expected = if self.case.is_undone { Outcome::RolledBack } else { Outcome::Completed };
        demand!(self.history.outcome == expected, "{:?}, not {expected:?}", self.history.outcome);
        let target = if self.case.is_undone { Version::OLD } else { Version::NEW };
        let fleet = self.live_at_the_end();
        let serves = |change: &&Change| change.version == target && change.to == Phase::Ready && change.listed;
        let serving = fleet.values().filter(serves).count();
        demand!(serving == self.case.desired as usize, "{serving} serve in the end");
        demand!(fleet.len() == serving, "{} exist in the end, {serving} serve", fleet.len());
        Ok(())
    }
}

fn one_fate_each(what: &str, ledger: &Ledger) -> Checked {
    let fates = ledger.served + ledger.lost.iter().sum::<u64>() + ledger.open;
    demand!(ledger.arrivals == fates, "{what}: {} arrived and {fates} have a fate", ledger.arrivals);
    Ok(())
}

fn window_adds_up(name: &str, window: &Window) -> Checked {
    let served = window.ledger.served;
    demand!(window.latency.len() == served, "{name}: a latency for each served request");
    demand!(window.served_by.iter().sum::<u64>() == served, "{name}: every request is served by one version");
    let longest = u128::from(window.latency.max()) * 1000;
    demand!(window.latency_sum <= (longest + 1000) * u128::from(served), "{name}: the mean exceeds the maximum");
    Ok(())
}

fn within(what: &str, part: &Ledger, whole: &Ledger) -> Checked {
    let fewer = part.arrivals <= whole.arrivals && part.served <= whole.served && part.open <= whole.open;
    let lost_fewer = part.lost.iter().zip(whole.lost).all(|(part, whole)| *part <= whole);
    demand!(fewer && lost_fewer, "{what}: {part:?} of {whole:?}");
    Ok(())
}

fn is_live(phase: Phase) -> bool {
    !matches!(phase, Phase::Draining | Phase::Stopping | Phase::Gone)
}

/// What an instance may do next, told once more in other words.
fn is_legal(from: Phase, to: Phase) -> bool {
    let next: &[Phase] = match from {
        Phase::Pulling => &[Phase::Prepared, Phase::Stopping, Phase::Gone],
        Phase::Prepared => &[Phase::Starting, Phase::Stopping, Phase::Gone],
        Phase::Down => &[Phase::Starting, Phase::Gone],
        Phase::Starting => &[Phase::Ready, Phase::Down, Phase::Stopping],
        Phase::Ready => &[Phase::Unready, Phase::Draining, Phase::Down],
        Phase::Unready => &[Phase::Ready, Phase::Draining, Phase::Down],
        Phase::Draining => &[Phase::Stopping, Phase::Gone],
        Phase::Stopping => &[Phase::Gone],
        Phase::Gone => &[],
    };
    next.contains(&to)
}
