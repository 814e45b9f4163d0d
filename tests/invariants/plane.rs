//! The request plane of a case: who asks for what, and who distributes it. Drawn from a luck of its own, so that a case keeps
//! its rollout whatever is added here.

use super::luck::Luck;
use rollsim::random::mix;
use std::fmt::Write;

/// What is drawn of the request plane beside the rollout.
pub(super) struct Plane {
    luck: Luck,
    /// Nothing is drawn: one plain balancer, one class, one queue an instance.
    is_plain: bool,
    /// The words that come to each table.
    pub(super) service: String,
    pub(super) traffic: String,
    pub(super) classes: String,
    pub(super) client: String,
    pub(super) balancer: String,
    pub(super) release: String,
    pub(super) crash: String,
    pub(super) outage: String,
    pub(super) slow: String,
    /// What may be demanded.
    pub(super) facts: Facts,
}

/// What may be demanded of the requests of a run.
#[expect(clippy::struct_excessive_bools, reason = "each says what may be demanded, and they are independent")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// How many users there are in a closed loop.
    pub(super) users: Option<u64>,
    pub(super) has_patience: bool,
    pub(super) sheds: bool,
    pub(super) has_errors: bool,
    pub(super) has_target: bool,
    pub(super) has_two_classes: bool,
    /// Tokens for retries: how many there are at first, and what a served attempt puts back.
    pub(super) tokens: Option<(f64, f64)>,
    /// Balancers believe in nobody longer than the news take, and in nobody else.
    pub(super) goes_by_news: bool,
    /// Nobody is left out of a balancer that is listed.
    pub(super) leaves_nobody_out: bool,
    pub(super) shares_workers: bool,
    /// The most that may wait in all balancers.
    pub(super) balancers_hold: u64,
}

impl Plane {
    pub(super) fn draw(number: u64) -> Plane {
        let mut luck = Luck::new(mix(number ^ 0x0070_6c61_6e65));
        let is_plain = luck.percent(30);
        let facts = Facts { goes_by_news: true, leaves_nobody_out: true, ..Facts::default() };
        let mut plane = Plane {
            luck,
            is_plain,
            service: String::new(),
            traffic: String::new(),
            classes: String::new(),
            client: String::new(),
            balancer: String::new(),
            release: String::new(),
            crash: String::new(),
            outage: String::new(),
            slow: String::new(),
            facts,
        };
        plane.draw_service();
        plane.draw_traffic();
        plane.draw_faults();
        plane
    }

    fn percent(&mut self, percent: u64) -> bool {
        !self.is_plain && self.luck.percent(percent)
    }

    fn draw_service(&mut self) {
        if self.percent(30) {
            self.service.push_str("discipline = \"processor-sharing\"\n");
            self.facts.shares_workers = true;
        } else if self.percent(20) {
            let limit = self.luck.millis(5_000);
            writeln!(self.service, "shed_after = \"{limit}ms\"").expect("a string takes any line");
            self.facts.sheds = true;
        }
        if self.percent(20) {
            let rate = self.luck.within(0, 50);
            writeln!(self.service, "error_rate = \"{rate}%\"").expect("a string takes any line");
            self.facts.has_errors = true;
        }
        if self.percent(30) {
            self.release.push_str("drain_ends_when_idle = true\n");
        }
    }

    fn draw_traffic(&mut self) {
        if self.percent(40) {
            let target = self.luck.within(1, 5_000);
            writeln!(self.traffic, "target = \"{target}ms\"").expect("a string takes any line");
            self.facts.has_target = true;
        }
        if self.percent(20) {
            let share = self.luck.within(1, 99);
            let other = 100 - share;
            let work = self.luck.within(1, 10_000);
            write!(
                self.classes,
                "[traffic.class.one]\nshare = \"{share}%\"\n[traffic.class.other]\nshare = \"{other}%\"\nwork = \"{work}ms\"\n"
            )
            .expect("a string takes any line");
            self.facts.has_two_classes = true;
        }
    }

    fn draw_faults(&mut self) {
        if self.percent(40) {
            let crews = self.luck.within(1, 3);
            writeln!(self.crash, "crews = {crews}").expect("a string takes any line");
        }
        if self.percent(50) {
            self.outage.push_str("silent = true\n");
        }
        if self.percent(30) {
            let (at, lasts) = (self.luck.millis(60_000), self.luck.within(1, 60_000));
            let (factor, share) = (self.luck.within(2, 20), self.luck.within(1, 100));
            writeln!(
                self.slow,
                "[[faults.slow]]\nat = \"{at}ms\"\nlasts = \"{lasts}ms\"\nfactor = {factor}\nshare = \"{share}%\""
            )
            .expect("a string takes any line");
        }
    }

    /// So many users instead of a rate, whose requests come about as often. What one of them thinks, in seconds.
    pub(super) fn users(&mut self, requests: f64, seconds: f64) -> Option<(String, f64)> {
        if !self.percent(20) {
            return None;
        }
        let users = self.luck.within(1, 20);
        let think = (seconds * users as f64 / requests).max(0.001);
        self.facts.users = Some(users);
        let think_ms = (think * 1000.0) as u64 + 1;
        Some((
            format!("users = {users}\nthink = {{ exponential = {{ mean = \"{think_ms}ms\" }} }}"),
            think / users as f64,
        ))
    }

    /// The word for how requests of an open stream come.
    pub(super) fn arrivals(&mut self) -> Option<&'static str> {
        self.percent(20).then_some(r#"arrivals = { bursty = { peak = 3, lasts = "3s", every = "12s" } }"#)
    }

    /// What clients do beside time-outs and retries; a budget for these, if there are some.
    pub(super) fn client(&mut self, work_millis: u64, has_timeout: bool) -> &'static str {
        if self.percent(25) {
            let mean = self.luck.within(1, 2 * work_millis + 1);
            writeln!(self.client, "patience = {{ exponential = {{ mean = \"{mean}ms\" }} }}")
                .expect("a string takes any line");
            self.facts.has_patience = true;
        }
        if (has_timeout || self.facts.has_patience) && self.percent(50) {
            self.client.push_str("cancels = true\n");
        }
        if self.is_plain {
            return "";
        }
        match self.luck.within(0, 5) {
            0 => r#", budget = { active = { share = "20%", at_least = 1 } }"#,
            1 => {
                self.facts.tokens = Some((3.0, 0.2));
                ", budget = { tokens = { size = 3, deposit = 0.2 } }"
            }
            2 => ", budget = { throttle = { size = 4, deposit = 0.5 } }",
            _ => "",
        }
    }

    /// The policy, which may be one that is drawn elsewhere, and all other words of the balancer.
    pub(super) fn balancer(&mut self, plain: &'static str, keeps_places: bool) -> String {
        let policy = if self.is_plain {
            format!("{plain:?}")
        } else {
            let words = [
                "\"round-robin\"",
                "\"random\"",
                "\"least-connections\"",
                "\"power-of-two\"",
                "\"join-idle-queue\"",
                "\"peak-ewma\"",
                "{ least_request = { choices = 4 } }",
                "{ consistent_hash = { keys = 20 } }",
            ];
            self.luck.pick(&words).to_owned()
        };
        let mut count = 1;
        if self.percent(40) {
            count = self.luck.within(1, 3);
            writeln!(self.balancer, "count = {count}").expect("a string takes any line");
        }
        let static_places = keeps_places && self.percent(30);
        for (percent, line) in [
            (10, "new_weight = 0.3"),
            (if static_places { 100 } else { 0 }, "discovery = \"static\""),
            (15, "subset = 3"),
            (15, "slow_start = { window = \"20s\" }"),
            (20, "fallback_to_terminating = true"),
            (20, "panic_threshold = \"60%\""),
        ] {
            if self.percent(percent) {
                writeln!(self.balancer, "{line}").expect("a string takes any line");
                self.facts.goes_by_news &= !line.starts_with("discovery") && !line.starts_with("fallback");
            }
        }
        self.draw_health();
        if self.percent(40) {
            let (retries, pause) = (self.luck.within(0, 3), self.luck.millis(2_000));
            let redispatch = self.luck.pick(&["same", "other", "untried"]);
            let pause = if redispatch == "same" { format!(", pause = \"{pause}ms\"") } else { String::new() };
            writeln!(self.balancer, "connect = {{ retries = {retries}, redispatch = \"{redispatch}\"{pause} }}")
                .expect("a string takes any line");
        }
        if self.percent(25) {
            let (most, queue) = (self.luck.within(1, 6), self.luck.within(0, 50));
            writeln!(self.balancer, "max_connections = {most}\nqueue = {queue}").expect("a string takes any line");
            self.facts.balancers_hold = queue * count;
        }
        policy
    }

    fn draw_health(&mut self) {
        if self.percent(30) {
            let (period, phase) = (self.luck.within(200, 10_000), self.luck.millis(5_000));
            let (passes, failures) = (self.luck.within(1, 3), self.luck.within(1, 3));
            let assume = self.luck.percent(70);
            let work = if self.luck.percent(40) { ", work = \"20ms\"" } else { "" };
            let spread = if mix(period) & 1 == 1 { ", spread = true" } else { "" };
            let phase = if self.luck.percent(50) { format!(", phase = \"{phase}ms\"") } else { spread.to_owned() };
            let false_failures = if self.luck.percent(30) { ", false_failures = \"10%\"" } else { "" };
            writeln!(
                self.balancer,
                "health_check = {{ period = \"{period}ms\", success_threshold = {passes}, failure_threshold = {failures}, assume_healthy = {assume}{work}{phase}{false_failures} }}"
            )
            .expect("a string takes any line");
            self.facts.leaves_nobody_out = false;
        }
        if self.percent(25) {
            let (errors, lasts) = (self.luck.within(1, 3), self.luck.within(1, 20_000));
            let (most, counts) = (self.luck.within(0, 100), self.luck.pick(&["connect", "all"]));
            let grows = self.luck.percent(30);
            // From a luck of their own, so that the other cases stay as they are.
            let bits = mix(lasts);
            let (trial, whole_seconds) = (bits & 1 == 1, bits & 6 == 0);
            writeln!(
                self.balancer,
                "ejection = {{ consecutive_errors = {errors}, lasts = \"{lasts}ms\", most = \"{most}%\", counts = \"{counts}\", grows = {grows}, trial = {trial}, whole_seconds = {whole_seconds} }}"
            )
            .expect("a string takes any line");
            self.facts.leaves_nobody_out = false;
        }
    }
}
