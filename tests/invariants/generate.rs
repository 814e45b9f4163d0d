//! The cases: random small scenarios, drawn part by part.

#[path = "world.rs"]
mod world;

use super::argo;
use super::ecs::{self, Check};
use super::luck::{Delay, Luck};
use super::nomad;
use super::plane::Plane;
use super::promises::{Bound, Case, Commands, Orchestrator, Swarm};
use super::shift;
use super::together::Together;
use super::waves;
use rollsim::random::mix;
use std::fmt::Write;

/// A part of a scenario under way: what is drawn first decides what is drawn later.
struct Draft {
    luck: Luck,
    plane: Plane,
    text: String,
    desired: u32,
    /// The most instances that anybody may ask for.
    most: u32,
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
    together: Together,
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

    fn release(&mut self, needs_grace: bool) {
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
        self.text.push_str(&self.plane.release);
        let text = self.together.words();
        self.text.push_str(&text);
        if needs_grace || self.luck.percent(60) {
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
            r#"unready = { after = { exponential = { mean = "15s" } }, lasts = "4s" }"#,
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
        let (mut surge, mut unavailable) = (Bound::Count(0), Bound::Count(0));
        if recreates {
            self.line(r#"type = "Recreate""#);
        } else {
            let (share_more, share_fewer) = (self.luck.count(0, 120), self.luck.count(1, 100));
            surge = if self.luck.percent(50) {
                self.line(format!(r#"max_surge = "{share_more}%""#));
                Bound::Share(share_more)
            } else {
                let more = self.luck.count(0, desired + 2);
                self.line(format!("max_surge = {more}"));
                Bound::Count(more)
            };
            unavailable = if matches!(surge, Bound::Share(0) | Bound::Count(0)) || self.luck.percent(50) {
                self.line(format!(r#"max_unavailable = "{share_fewer}%""#));
                Bound::Share(share_fewer)
            } else {
                let fewer = self.luck.count(0, desired + 2);
                self.line(format!("max_unavailable = {fewer}"));
                Bound::Count(fewer)
            };
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
        // Further settings of a Deployment are drawn here: quota, pod replacement, the control plane.
        let latency = self.luck.millis(2_000);
        // One of three: as fast as can be, as slow as can be told, or as fast as it is by default.
        let latency = match self.luck.within(0, 2) {
            0 => {
                self.line("control_plane = { at_once = true }");
                0
            }
            1 => {
                let limit = "qps = 1000000, burst = 1000000";
                let latencies = format!(r#"watch = "{latency}ms", pass = "{latency}ms", call = "0s", create = "0s""#);
                self.line(format!("control_plane = {{ {latencies}, {limit} }}"));
                2 * latency
            }
            _ => 1_000,
        };
        let step = self.start_to_stop(0, 30_000) + 1000 * (min_ready + 1) + 3 * latency;
        Rollout {
            orchestrator: Orchestrator::Kubernetes { surge, unavailable, min_ready, recreates, at_once: latency == 0 },
            lasts: u64::from(self.most) * 2 * step,
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
        (Swarm { parallelism, start_first }, u64::from(self.most) * slot + 2 * delay + monitor + 1000)
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
        let child_step = self.start_to_stop(0, 0).max(going).max(coming).max(test);
        let target = self.start_to_stop(0, 0) + going + test + coming;
        if self.luck.percent(20) {
            let timeout = self.luck.within(1, 2 * child_step);
            self.line(format!(r#"step_timeout = "{timeout}ms""#));
            fails |= timeout <= child_step;
        }
        let mut leaves_out = false;
        let mut asks = 0;
        let is_guided = self.luck.percent(40);
        if is_guided {
            let answers_after = self.luck.delay(60_000);
            let answer = self.luck.pick(&["fail", "retry", "ignore", "exclude"]);
            let retries = if answer == "retry" && self.luck.percent(50) { ", retries = 2" } else { "" };
            let after = &answers_after.text;
            self.line(format!(r#"guided_failure = {{ answers_after = {after}, answer = "{answer}"{retries} }}"#));
            leaves_out = answer == "ignore" || answer == "exclude";
            asks = answers_after.longest;
        }
        if self.luck.percent(30) {
            self.line("skip_unavailable = true");
            leaves_out = true;
        }
        Rollout {
            orchestrator: Orchestrator::Octopus { window, waits_for_ready, takes_out, is_guided, leaves_out },
            lasts: u64::from(self.most) * target + if fails { asks } else { 0 },
            can_be_stuck: false,
            fails_sound_releases: fails,
            drains: if takes_out { self.drain } else { 0 },
        }
    }

    fn waves(&mut self, zones: u32) -> Rollout {
        let (text, waves, takes) = waves::draw(&mut self.luck, self.desired, zones);
        self.text.push_str(&text);
        Rollout {
            orchestrator: Orchestrator::Waves(waves),
            lasts: u64::from(self.most) * (self.start_to_stop(0, 0) + takes),
            can_be_stuck: false,
            fails_sound_releases: false,
            drains: if waves.takes_out { self.drain } else { 0 },
        }
    }

    fn shift(&mut self) -> Rollout {
        let (text, shift, takes, may_fail) = shift::draw(&mut self.luck);
        self.text.push_str(&text);
        Rollout {
            lasts: (shift.count() + 1) * self.start_to_stop(0, 0) + takes,
            orchestrator: Orchestrator::Shift(shift),
            can_be_stuck: false,
            fails_sound_releases: may_fail,
            drains: self.drain,
        }
    }

    fn nomad(&mut self) -> (Rollout, Option<String>) {
        let ready_within = self.pull + self.start + self.probe.map_or(0, Probe::notices_within);
        let drawn = nomad::draw(&mut self.luck, self.desired, ready_within);
        self.text.push_str(&drawn.words);
        let step = self.start_to_stop(drawn.shutdown_delay, 5_000) + drawn.takes;
        let rollout = Rollout {
            orchestrator: Orchestrator::Nomad(drawn.nomad),
            lasts: (u64::from(self.most) + 2) * step,
            can_be_stuck: false,
            fails_sound_releases: drawn.fails_sound_releases,
            drains: self.drain + drawn.shutdown_delay,
        };
        let promotes = r#"{ after = "0s", do = "promote" }"#;
        (rollout, drawn.is_promoted.then(|| promotes.to_owned()))
    }

    fn argo(&mut self) -> (Rollout, Option<String>) {
        let ready_within = self.pull + self.start + self.probe.map_or(0, Probe::notices_within);
        let drawn = argo::draw(&mut self.luck, self.desired, ready_within);
        self.text.push_str(&drawn.words);
        let more = u64::from(self.most.div_ceil(self.desired));
        let rollout = Rollout {
            orchestrator: Orchestrator::Argo(drawn.argo),
            lasts: drawn.rounds * more * self.start_to_stop(0, 30_000) + drawn.takes,
            can_be_stuck: drawn.can_be_stuck,
            fails_sound_releases: drawn.may_fail,
            drains: self.drain,
        };
        let promotes = vec![r#"{ when_paused = true, do = "promote" }"#; drawn.open_pauses];
        (rollout, (drawn.open_pauses > 0).then(|| promotes.join(", ")))
    }

    fn ecs(&mut self) -> Rollout {
        let check = self.probe.map(|probe| Check {
            gives_up_after: probe.initial_delay + probe.period * (probe.failures - 1),
            starts_within: self.start,
            ready_within: probe.notices_within(),
        });
        let drawn = ecs::draw(&mut self.luck, self.desired, check);
        self.text.push_str(&drawn.words);
        let step = self.start_to_stop(0, 30_000) + drawn.takes;
        Rollout {
            orchestrator: Orchestrator::Ecs(drawn.ecs),
            lasts: (u64::from(self.most) + 2) * step + drawn.bakes,
            can_be_stuck: false,
            fails_sound_releases: drawn.fails_sound_releases,
            drains: self.drain,
        }
    }

    /// What people type, and when the last of it is at the latest if nothing is paused for long. With Swarm and Nomad, an
    /// undo takes back whatever was changed last, be it the version or the size.
    fn commands(&mut self, lasts: u64, takes_back_sizes: bool) -> (Commands, u64) {
        let mut all = Commands::none(self.desired);
        let mut after = self.luck.within(0, lasts / 10);
        if self.luck.percent(40) {
            return (all, 0);
        }
        if self.luck.percent(40) {
            self.line(format!("commands = [{{ after = \"{after}ms\", do = \"undo\" }}]"));
            return (Commands { count: 1, retargets: true, is_one_undo: true, target: 0, ..all }, after);
        }
        let mut written = Vec::new();
        let mut previous = (0, self.desired);
        for _ in 0..self.luck.within(1, 4) {
            // Where it is paused, nothing need become ready any more.
            let when = if !all.stays_paused && self.luck.percent(30) {
                format!("when_ready = {}", self.luck.count(1, all.size))
            } else {
                format!("after = \"{after}ms\"")
            };
            after += self.luck.within(0, lasts / 4);
            let what = match self.luck.within(0, 6) {
                0 | 1 if all.stays_paused => {
                    all.stays_paused = false;
                    "do = \"resume\"".to_owned()
                }
                0 => {
                    all.stays_paused = true;
                    "do = \"pause\"".to_owned()
                }
                1 | 2 => {
                    let former = std::mem::replace(&mut previous, (all.target, all.size));
                    all.target = former.0;
                    all.size = if takes_back_sizes { former.1 } else { all.size };
                    (all.retargets, all.stays_paused) = (true, false);
                    "do = \"undo\"".to_owned()
                }
                3 | 4 if self.most > self.desired => {
                    previous = if takes_back_sizes { (all.target, all.size) } else { previous };
                    all.size = self.luck.count(1, self.most);
                    all.sizes = (all.sizes.0.min(all.size), all.sizes.1.max(all.size));
                    format!("do = \"scale\", instances = {}", all.size)
                }
                5 | 6 => {
                    let version = self.luck.count(2, 3) as u8;
                    if version != all.target {
                        previous = (all.target, all.size);
                        all.target = version;
                        all.newest = all.newest.max(version);
                        (all.retargets, all.stays_paused) = (true, false);
                    }
                    format!("do = \"deploy\", version = {}", version + 1)
                }
                _ => continue,
            };
            written.push(format!("{{ {when}, {what} }}"));
        }
        if !written.is_empty() {
            self.line(format!("commands = [{}]", written.join(", ")));
        }
        all.count = written.len();
        (all, after)
    }

    /// The longest that one instance takes from its launch to being ready, and another one from there to being gone.
    fn start_to_stop(&self, stop_latency: u64, default_grace: u64) -> u64 {
        let ready = self.pull + self.start + self.probe.map_or(0, Probe::notices_within);
        ready + self.drain + stop_latency + self.grace.unwrap_or(default_grace) + 1000
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
    pub(super) fn draw(number: u64) -> Case {
        let mut luck = Luck::new(mix(number));
        let desired = luck.count(1, 12);
        let most = if luck.percent(30) { desired + 4 } else { desired };
        let is_troubled = luck.percent(50);
        let (has_defect, has_fault) = (is_troubled && luck.percent(60), is_troubled && luck.percent(60));
        let propagation = if luck.percent(30) { luck.delay(30_000) } else { luck.delay(1_000) };
        let probe = None;
        let (pull, start, drain, pre_stop, grace) = (0, 0, 0, 0, None);
        let text = String::new();
        let mut draft = Draft {
            luck,
            plane: Plane::draw(number),
            text,
            desired,
            most,
            pull,
            start,
            probe,
            drain,
            pre_stop,
            grace,
            propagation,
            has_defect,
            has_fault,
            together: Together::draw(&mut Luck::new(mix(number ^ 0x736b_6577))),
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
        self.text.push_str(&self.plane.service);
        let kind = self.luck.within(0, 7);
        self.release(matches!(kind, 2..=4));
        let (rollout, promotes) = match kind {
            0 => (self.kubernetes(), None),
            1 => (self.swarm(), None),
            2 => (self.octopus(), None),
            3 => (self.waves(zones), None),
            4 => (self.shift(), None),
            5 => self.nomad(),
            6 => self.argo(),
            _ => (self.ecs(), None),
        };
        let settings_end = self.text.len();
        let (commands, last_after) = if let Some(promotes) = promotes {
            self.line(format!("commands = [{promotes}]"));
            (Commands { count: 1, ..Commands::none(desired) }, 0)
        } else {
            self.commands(rollout.lasts, matches!(kind, 1 | 5))
        };
        if kind == 6 {
            // They stand before the table of the canary, or of blue/green.
            let commands = self.text.split_off(settings_end);
            let header = "[strategy.case.argo]\n";
            self.text = self.text.replace(header, &format!("{header}{commands}"));
        }
        let has_time = self.luck.percent(85);
        let enough = (2 + commands.count as u64) * rollout.lasts + last_after + self.together.waits() + 60_000;
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
        self.text.push_str(&self.plane.classes);
        let (has_timeout, attempts) = self.client(work);
        let plain = self.luck.pick(&["round-robin", "random", "least-connections", "power-of-two"]);
        let policy = self.plane.balancer(plain, matches!(kind, 2 | 3));
        let draining = self.luck.percent(70);
        let propagation = self.propagation.text.clone();
        self.line(format!("[balancer]\npolicy = {policy}\ndraining = {draining}\npropagation = {propagation}"));
        self.text.push_str(&self.plane.balancer);
        self.line(format!(
            "[study]\nreplications = 2\nseed = {number}\nwarm_up = \"{warm_up}ms\"\nbaseline = \"{baseline}ms\"\nwindow = \"{window}ms\"\ninterval = \"{interval}ms\""
        ));
        let grace = self.grace.unwrap_or(match kind {
            0 | 6 | 7 => 30_000,
            5 => 5_000,
            _ => 10_000,
        });
        let goes_by_news_alone = !self.text.contains("health_check") && !self.text.contains("ejection");
        // Each version has a queue of its own.
        let splits = matches!(&rollout.orchestrator, Orchestrator::Argo(argo) if argo.splits());
        let queues = if kind == 4 || splits { u64::from(commands.newest) + 1 } else { 1 };
        self.plane.facts.balancers_hold *= queues;
        let is_sound = !self.has_defect && !self.has_fault && !rollout.fails_sound_releases;
        Case {
            desired,
            orchestrator: rollout.orchestrator,
            is_sound,
            is_left_alone: !is_meddled_with,
            is_left_to_itself: self.text.contains(r#"policy = "orchestrator""#)
                || self.text.contains(r#"policy = "none""#),
            has_fault: self.has_fault,
            commands,
            has_time,
            has_defect: self.has_defect,
            together: self.together,
            has_timeout,
            attempts,
            never_stale: is_sound
                && self.plane.facts.goes_by_news
                && self.propagation.is_fixed
                && self.propagation.longest <= rollout.drains + self.pre_stop.min(grace),
            news_within: (goes_by_news_alone && self.propagation.is_fixed).then_some(self.propagation.longest),
            stops_within_a_minute: rollout.drains + grace < 60_000,
            facts: self.plane.facts,
            text: std::mem::take(&mut self.text),
        }
    }
}
