//! What is exported is what was meant: read again it gives the same strategy, and the same release.

use rollsim::random::{Purpose, Stream, Streams};
use rollsim::rollout::Strategy;
use rollsim::scenario::manifest::{Format, export, import, read};
use rollsim::scenario::{Scenario, load, parse};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Adds words to a text.
macro_rules! add {
    ($text:ident, $($words:tt)*) => {{
        let _ = write!($text, $($words)*);
    }};
}

/// Random settings, of which some are not written.
struct Draw(Stream);

impl Draw {
    fn below(&mut self, count: u64) -> u64 {
        self.0.bits() % count
    }

    fn bound(&mut self) -> String {
        if self.below(2) == 0 { format!("{}", 1 + self.below(20)) } else { format!("\"{}%\"", 1 + self.below(100)) }
    }

    fn span(&mut self) -> String {
        match self.below(3) {
            0 => format!("{}s", 1 + self.below(1_000)),
            1 => format!("{}ms", 1 + self.below(100_000)),
            _ => format!("{}ns", 1 + self.below(1_000_000_000)),
        }
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    fn kubernetes(&mut self) -> String {
        let mut text = "[strategy.Mine_1.kubernetes]\n".to_owned();
        if self.below(5) == 0 {
            text += "type = \"Recreate\"\n";
        } else if self.below(5) > 0 {
            add!(text, "max_surge = {}\nmax_unavailable = {}\n", self.bound(), self.bound());
        }
        let min_ready = self.below(100);
        add!(text, "min_ready_seconds = {min_ready}\n");
        match self.below(3) {
            0 => add!(text, "progress_deadline_seconds = {}\n", min_ready + 1 + self.below(1_000)),
            1 => text += "progress_deadline_seconds = 2147483647\n",
            _ => {}
        }
        if self.below(3) == 0 {
            add!(text, "pod_replacement_policy = \"{}\"\n", self.pick(&["TerminationStarted", "TerminationComplete"]));
        }
        text
    }

    fn config(&mut self, actions: &[&str]) -> String {
        format!(
            "{{ parallelism = {}, delay = \"{}\", monitor = \"{}\", max_failure_ratio = {}, failure_action = \"{}\", order = \"{}\" }}",
            self.below(20),
            self.span(),
            self.span(),
            self.0.unit(),
            self.pick(actions),
            self.pick(&["stop-first", "start-first"]),
        )
    }

    fn swarm(&mut self) -> String {
        let mut text = "[strategy.Mine_1.swarm]\n".to_owned();
        if self.below(4) > 0 {
            add!(text, "update = {}\n", self.config(&["pause", "continue", "rollback"]));
        }
        if self.below(4) > 0 {
            add!(text, "rollback = {}\n", self.config(&["pause", "continue"]));
        }
        if self.below(2) == 0 {
            let condition = self.pick(&["any", "on-failure", "none"]);
            add!(text, "restart_condition = \"{condition}\"\nrestart_delay = \"{}\"\n", self.span());
            add!(text, "restart_max_attempts = {}\nrestart_window = \"{}\"\n", self.below(100), self.span());
        }
        text
    }

    fn nomad(&mut self) -> String {
        let mut text = "[strategy.Mine_1.nomad]\n".to_owned();
        if self.below(4) > 0 {
            let (parallel, canary) = (self.below(20), self.below(3));
            add!(text, "max_parallel = {parallel}\ncanary = {canary}\nauto_revert = {}\n", self.below(2) == 0);
            add!(text, "auto_promote = {}\n", canary > 0 && self.below(2) == 0);
            add!(text, "health_check = \"{}\"\n", self.pick(&["checks", "task_states", "manual"]));
            add!(text, "on_update = \"{}\"\n", self.pick(&["require_healthy", "ignore_warnings", "ignore"]));
            let (healthy, more) = (self.below(1_000_000), 1 + self.below(1_000_000));
            add!(text, "min_healthy_time = \"{healthy}ms\"\nhealthy_deadline = \"{}ms\"\n", healthy + more);
            let progress = if self.below(4) == 0 { 0 } else { healthy + more + 1 + self.below(1_000) };
            add!(text, "progress_deadline = \"{progress}ms\"\nshutdown_delay = \"{}\"\n", self.span());
        }
        if self.below(2) == 0 {
            add!(text, "restart_attempts = {}\nrestart_delay = \"{}\"\n", self.below(9), self.span());
            add!(text, "restart_interval = \"{}\"\n", self.span());
        }
        if self.below(2) == 0 {
            let (delay, function) = (5 + self.below(100), self.pick(&["constant", "exponential", "fibonacci"]));
            add!(text, "reschedule_delay = \"{delay}s\"\nreschedule_delay_function = \"{function}\"\n");
            add!(text, "reschedule_max_delay = \"{}s\"\n", delay + self.below(100));
        }
        if self.below(2) == 0 {
            add!(text, "reschedule_attempts = {}\nreschedule_interval = \"{}\"\n", self.below(9), self.span());
        }
        text
    }

    fn metrics(&mut self, may_go_on: bool) -> String {
        let metric = |draw: &mut Draw| {
            let mut text = format!(
                "{{ max_failed = \"{}%\", max_late = \"{}%\", at_least = {}",
                draw.below(1_000) as f64 / 16.0,
                draw.below(100),
                draw.below(1_000)
            );
            match draw.below(3) {
                0 => {}
                1 if may_go_on => add!(text, ", interval = \"{}\"", draw.span()),
                _ => add!(text, ", interval = \"{}\", count = {}", draw.span(), 1 + draw.below(9)),
            }
            if draw.below(2) == 0 {
                add!(
                    text,
                    ", initial_delay = \"{}\", failure_limit = {}",
                    draw.span(),
                    draw.below(4).cast_signed() - 1
                );
                add!(text, ", inconclusive_limit = {}", draw.below(3));
                add!(text, ", consecutive_error_limit = {}", draw.below(6));
                add!(text, ", consecutive_success_limit = {}", draw.below(3));
            }
            text + " }"
        };
        let all: Vec<String> = (0..=self.below(2)).map(|_| metric(self)).collect();
        format!("[{}]", all.join(", "))
    }

    fn argo(&mut self) -> String {
        let mut text = "[strategy.Mine_1.argo]\n".to_owned();
        let is_routed = self.below(2) == 0;
        let is_canary = self.below(3) > 0;
        let min_ready = self.below(100);
        add!(text, "min_ready_seconds = {min_ready}\nprogress_deadline_abort = {}\n", self.below(2) == 0);
        add!(text, "progress_deadline_seconds = {}\n", min_ready + 1 + self.below(1_000));
        add!(text, "rollback_window = {}\n", self.below(3));
        if is_routed || !is_canary {
            add!(text, "scale_down_delay_seconds = {}\n", self.below(100));
            if self.below(2) == 0 {
                add!(text, "abort_scale_down_delay_seconds = {}\n", self.below(100));
            }
        }
        if !is_canary {
            add!(text, "[strategy.Mine_1.argo.blue_green]\nauto_promotion_enabled = {}\n", self.below(2) == 0);
            if self.below(2) == 0 {
                add!(text, "auto_promotion_seconds = {}\npreview_replica_count = 1\n", self.below(100));
                add!(text, "pre_promotion_analysis = {}\n", self.metrics(false));
            }
            if self.below(2) == 0 {
                add!(text, "post_promotion_analysis = {}\n", self.metrics(false));
                add!(text, "scale_down_delay_revision_limit = {}\n", self.below(3));
            }
            return text;
        }
        add!(text, "[strategy.Mine_1.argo.canary]\nmax_surge = {}\n", self.bound());
        add!(text, "max_unavailable = {}\ntraffic_routing = {is_routed}\n", self.bound());
        if is_routed {
            add!(text, "dynamic_stable_scale = {}\n", self.below(2) == 0);
            add!(text, "min_pods_per_replica_set = {}\n", self.below(4));
        }
        if self.below(3) == 0 {
            add!(text, "replica_progress_threshold = {}\n", self.bound());
        }
        if self.below(3) == 0 {
            add!(text, "analysis = {}\nanalysis_starting_step = {}\n", self.metrics(true), self.below(3));
        }
        let mut steps = Vec::new();
        for _ in 0..self.below(7) {
            steps.push(match self.below(if is_routed { 7 } else { 4 }) {
                0 => "{ pause = {} }".to_owned(),
                1 => format!("{{ pause = {{ duration = \"{}\" }} }}", self.span()),
                2 => format!("{{ analysis = {} }}", self.metrics(false)),
                4 => format!("{{ set_canary_scale = {{ replicas = {} }} }}", self.below(20)),
                5 => format!("{{ set_canary_scale = {{ weight = {} }} }}", self.below(200)),
                6 => "{ set_canary_scale = { match_traffic_weight = true } }".to_owned(),
                _ => format!("{{ set_weight = {} }}", self.below(101)),
            });
        }
        add!(text, "steps = [{}]\n", steps.join(", "));
        text
    }

    fn ecs(&mut self) -> String {
        let mut text = "[strategy.Mine_1.ecs]\n".to_owned();
        if self.below(4) > 0 {
            let (minimum, maximum) = (self.below(101), 101 + self.below(200));
            add!(text, "minimum_healthy_percent = {minimum}\nmaximum_percent = {maximum}\n");
        }
        if self.below(2) == 0 {
            add!(text, "health_check_grace_period_seconds = {}\n", self.below(1_000));
        }
        if self.below(2) == 0 {
            add!(text, "bake_time_in_minutes = {}\n", self.below(60));
        }
        if self.below(4) > 0 {
            let (of, value) = (self.pick(&["BOUNDED_PERCENT", "UNBOUNDED_PERCENT", "COUNT"]), 1 + self.below(300));
            let [enable, rollback, resets] = [0; 3].map(|_| self.below(3) > 0);
            add!(text, "circuit_breaker = {{ enable = {enable}, rollback = {rollback}, threshold_type = \"{of}\", ");
            add!(text, "threshold_value = {value}, reset_on_healthy_task = {resets} }}\n");
        }
        text
    }

    fn scenario(&mut self, strategy: &str) -> String {
        format!(
            "[service]\ninstances = {}\nworkers = 2\nqueue = 10\n[traffic]\nrate = 1.0\nwork = \"1ms\"\n\
             [release]\nstart = \"1s\"\ndrain = \"{}s\"\ngrace = \"{}s\"\npre_stop = \"{}s\"\n\
             ready_probe = {{ initial_delay = \"{}s\", period = \"{}s\", success_threshold = {}, failure_threshold = {} }}\n\
             {strategy}\n[study]\nreplications = 2\nwindow = \"1m\"\n",
            1 + self.below(50),
            self.below(400),
            60 + self.below(60),
            self.below(60),
            self.below(60),
            1 + self.below(60),
            1 + self.below(5),
            1 + self.below(5),
        )
    }
}

fn parsed(text: &str) -> Scenario {
    parse(text, Path::new("case.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The strategy, without what people type: an import assumes that somebody promotes canaries.
fn strategy(scenario: &Scenario) -> Strategy {
    scenario.strategies[0].strategy.clone().with_commands(Vec::new())
}

#[test]
fn what_is_exported_and_read_again_is_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5_000 {
        let mut draw = Draw(Streams::new(number, 0).of(Purpose::Work, 0));
        let (format, words, file) = match number % 5 {
            0 => (Format::Kubernetes, draw.kubernetes(), "exported.yaml"),
            1 => (Format::Swarm, draw.swarm(), "exported.yaml"),
            2 => (Format::Nomad, draw.nomad(), "exported.nomad"),
            3 => (Format::Argo, draw.argo(), "exported.yaml"),
            _ => (Format::Ecs, draw.ecs(), "exported.yaml"),
        };
        let scenario = parsed(&draw.scenario(&words));
        let exported = export(&scenario, &scenario.strategies[0], format).expect("it is that orchestrator's");
        for other in Format::ALL.into_iter().filter(|other| *other != format) {
            assert_eq!(export(&scenario, &scenario.strategies[0], other), None);
        }

        // As a manifest of a strategy.
        fs::write(folder.path().join(file), &exported).expect("a file");
        let again = draw.scenario(&format!("[strategy.again.{}]\nmanifest = {file:?}", format.name()));
        fs::write(folder.path().join("again.toml"), again).expect("a file");
        let again = load(&folder.path().join("again.toml")).unwrap_or_else(|error| panic!("{error}\n{exported}"));
        assert_eq!(strategy(&again), strategy(&scenario), "{exported}");

        // And as a scenario of its own, with what belongs to the release.
        let manifest = read(&exported, Path::new(file)).expect("it is read");
        let imported = import(&manifest, None).unwrap_or_else(|error| panic!("{error}\n{exported}"));
        let imported = parsed(&imported.text);
        assert_eq!(strategy(&imported), strategy(&scenario), "{exported}");
        assert_eq!(imported.service.instances, scenario.service.instances);
        assert_eq!(imported.release.grace, scenario.release.grace, "{exported}");
        if matches!(format, Format::Kubernetes | Format::Argo) {
            assert_eq!(imported.release.pre_stop, scenario.release.pre_stop);
            assert_eq!(imported.release.ready_probe, scenario.release.ready_probe);
        }
        if format == Format::Ecs {
            assert_eq!(imported.release.drain, scenario.release.drain, "{exported}");
        }
        if matches!(format, Format::Nomad | Format::Ecs) {
            let [imported, own] = [imported, scenario].map(|scenario| scenario.release.ready_probe.expect("a probe"));
            assert_eq!((imported.period, imported.thresholds), (own.period, own.thresholds));
        }
    }
}

#[test]
fn what_a_file_cannot_say_is_told_in_it() {
    let quota = "[strategy.a.kubernetes]\nquota = 9\ncommands = [{ after = \"1s\", do = \"undo\" }]\ncontrol_plane = { at_once = true }";
    let scenario = parsed(&Draw(Streams::new(1, 0).of(Purpose::Work, 0)).scenario(quota));
    let text = export(&scenario, &scenario.strategies[0], Format::Kubernetes).expect("it is Kubernetes'");
    for told in ["the quota of 9 pods", "what people type (undo)", "the latencies and limits of the control plane"] {
        assert!(text.contains(&format!("# not in here: {told}")), "{told} is not in\n{text}");
    }
    let monitor = "[strategy.a.swarm]\nupdate = { monitor = \"0s\" }\nchange = \"force\"\nstop_latency = \"0s\"";
    let scenario = parsed(&Draw(Streams::new(1, 0).of(Purpose::Work, 0)).scenario(monitor));
    let text = export(&scenario, &scenario.strategies[0], Format::Swarm).expect("it is Swarm's");
    for told in ["the update's monitor of 0", "what is changed beside the image", "the daemon's own stop latency"] {
        assert!(text.contains(&format!("# not in here: {told}")), "{told} is not in\n{text}");
    }
    let nomad =
        "[strategy.a.nomad]\ncanary = 1\nevaluation_batch = \"0s\"\ncommands = [{ after = \"1s\", do = \"promote\" }]";
    let scenario = parsed(&Draw(Streams::new(1, 0).of(Purpose::Work, 0)).scenario(nomad));
    let text = export(&scenario, &scenario.strategies[0], Format::Nomad).expect("it is Nomad's");
    for told in ["the servers' own batching", "what people type (promote)", "the preStop hook", "the initial delay"] {
        assert!(text.contains(&format!("# not in here: {told}")), "{told} is not in\n{text}");
    }
    let ecs =
        "[strategy.a.ecs]\nquota = 99\nalarm = { max_failed = \"1%\" }\ncommands = [{ after = \"1s\", do = \"undo\" }]";
    let scenario = parsed(&Draw(Streams::new(1, 0).of(Purpose::Work, 0)).scenario(ecs));
    let text = export(&scenario, &scenario.strategies[0], Format::Ecs).expect("it is ECS's");
    for told in [
        "the alarm",
        "the cluster's room for 99 tasks",
        "what people type (undo)",
        "the preStop hook",
        "the initial delay",
    ] {
        assert!(text.contains(&format!("# not in here: {told}")), "{told} is not in\n{text}");
    }
    assert!(!text.contains("BakeTimeInMinutes"), "it bakes as long as its alarm looks back\n{text}");
}
