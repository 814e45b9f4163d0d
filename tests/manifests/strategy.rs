//! What `manifest =` in a strategy means: whose word counts, what is told, and where a mistake is found.

use rollsim::rollout::Strategy;
use rollsim::rollout::ecs::{CircuitBreaker, Threshold, ThresholdType};
use rollsim::rollout::kubernetes::{Bound, Kind};
use rollsim::rollout::swarm::{Condition, FailureAction, Order};
use rollsim::scenario::{self, Scenario};
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

const DEPLOYMENT: &str = r"apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 3
  minReadySeconds: 7
  progressDeadlineSeconds: 70
  strategy:
    rollingUpdate:
      maxSurge: 50%
  selector: {}
  template:
    spec:
      terminationGracePeriodSeconds: 45
      containers:
      - name: web
        image: web
        readinessProbe:
          periodSeconds: 3
        lifecycle:
          preStop: { sleep: { seconds: 5 } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: other }
spec:
  strategy: { type: Recreate }
  selector: {}
  template: { spec: { containers: [{ name: a, image: a }] } }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  selector: {}
  template: { spec: { containers: [{ name: a, image: a }] } }
";

const STACK: &str = r"services:
  web:
    image: web
    stop_grace_period: 40s
    healthcheck: { test: curl, interval: 4s, retries: 2 }
    deploy:
      replicas: 2
      update_config: { parallelism: 2, delay: 8s, order: start-first }
      rollback_config: { failure_action: continue }
      restart_policy: { condition: on-failure, max_attempts: 4 }
";

const TEMPLATE: &str = r#"Parameters:
  Grace: { Type: Number, Default: 90 }
Resources:
  Service:
    Type: AWS::ECS::Service
    Properties:
      SchedulingStrategy: REPLICA
      DesiredCount: 3
      DeploymentConfiguration:
        Strategy: ROLLING
        MaximumPercent: 150
        DeploymentCircuitBreaker: { Enable: true, Rollback: true }
      HealthCheckGracePeriodSeconds: !Ref Grace
      DeploymentController: { Type: ECS }
      LoadBalancers: [{ ContainerName: web, ContainerPort: 80, TargetGroupArn: !Ref Group }]
      TaskDefinition: !Ref Task
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions: [{ Name: web, StopTimeout: 20 }]
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      HealthCheckIntervalSeconds: 10
      TargetGroupAttributes:
      - { Key: deregistration_delay.timeout_seconds, Value: "60" }
"#;

/// A scenario with these strategies, beside both manifests.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Desk(tempfile::tempdir().expect("a folder"));
        fs::create_dir(desk.0.path().join("k8s")).expect("a folder");
        fs::write(desk.0.path().join("k8s/web.yaml"), DEPLOYMENT).expect("a file");
        fs::write(desk.0.path().join("stack.yml"), STACK).expect("a file");
        fs::write(desk.0.path().join("ecs.yaml"), TEMPLATE).expect("a file");
        desk
    }

    fn parse(&self, release: &str, strategies: &str) -> Result<Scenario, String> {
        let text = format!(
            "[service]\ninstances = 3\nworkers = 1\nqueue = 1\n[traffic]\nrate = 1.0\nwork = \"1ms\"\n[release]\nstart = \"1s\"\n\
             {release}\n[study]\nreplications = 2\nwindow = \"5m\"\n{strategies}\n"
        );
        let folder = format!("{}/", self.0.path().display());
        scenario::parse(&text, &self.0.path().join("fleet.toml"))
            .map_err(|error| error.to_string().replace(&folder, ""))
    }

    fn remarks(&self, release: &str, strategies: &str) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        let scenario = self.parse(release, strategies).expect("a scenario");
        scenario.remarks.iter().map(|remark| remark.replace(&folder, "")).collect()
    }
}

#[test]
fn a_deployment_gives_what_the_scenario_leaves_out() {
    let desk = Desk::new();
    let all = "[strategy.all.kubernetes]\nmanifest = \"k8s/web.yaml\"\nname = \"web\"\n";
    let some = "[strategy.some.kubernetes]\nmanifest = \"k8s/web.yaml\"\nname = \"web\"\nmax_unavailable = 2\nmin_ready_seconds = 1\n";
    let other = "[strategy.other.kubernetes]\nmanifest = \"k8s/web.yaml\"\nname = \"Deployment/other\"\n";
    let instead = "[strategy.instead.kubernetes]\nmanifest = \"k8s/web.yaml\"\nname = \"web\"\ntype = \"Recreate\"\n";
    let scenario = desk.parse("", &format!("{all}{some}{other}{instead}")).expect("a scenario");
    let settings: Vec<_> = scenario
        .strategies
        .iter()
        .map(|named| match &named.strategy {
            Strategy::Kubernetes(settings) => (settings.kind, settings.min_ready.as_secs(), settings.progress_deadline),
            other => panic!("{other:?}"),
        })
        .collect();
    let rolling = |max_unavailable| Kind::RollingUpdate { max_surge: Bound::Percent(50), max_unavailable };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(settings[0], (rolling(Bound::Percent(25)), 7, seconds(70)));
    assert_eq!(settings[1], (rolling(Bound::Count(2)), 1, seconds(70)));
    assert_eq!(settings[2], (Kind::Recreate, 0, seconds(600)));
    assert_eq!(settings[3], (Kind::Recreate, 7, seconds(70)));
}

#[test]
fn a_service_gives_what_the_scenario_leaves_out_key_by_key() {
    let desk = Desk::new();
    let strategy =
        "[strategy.it.swarm]\nmanifest = \"stack.yml\"\nupdate = { delay = \"1s\" }\nrestart_max_attempts = 9\n";
    let scenario = desk.parse("", strategy).expect("a scenario");
    let Strategy::Swarm(settings) = &scenario.strategies[0].strategy else { panic!("{:?}", scenario.strategies) };
    assert_eq!((settings.update.parallelism, settings.update.delay), (2, Duration::from_secs(1)));
    assert_eq!((settings.update.order, settings.rollback.order), (Order::StartFirst, Order::StopFirst));
    assert_eq!(settings.rollback.failure_action, FailureAction::Continue);
    assert_eq!((settings.restart.condition, settings.restart.max_attempts), (Condition::OnFailure, 9));
}

#[test]
fn what_is_used_and_what_is_not_is_told() {
    let desk = Desk::new();
    let strategy = "[strategy.it.kubernetes]\nmanifest = \"k8s/web.yaml\"\nname = \"web\"\nmin_ready_seconds = 1\n";
    let probe = "ready_probe = { period = \"3s\" }\npre_stop = \"5s\"\ngrace = \"20s\"";
    assert_eq!(
        desk.remarks(probe, strategy),
        [
            "k8s/web.yaml: took spec.strategy.rollingUpdate: maxSurge = 50% (10); spec: progressDeadlineSeconds = 70 (7)",
            "k8s/web.yaml: assumed spec.strategy: type = RollingUpdate; spec.strategy.rollingUpdate: maxUnavailable = 25%",
            "k8s/web.yaml: ignored spec.template.spec.containers.web: image (17)",
            "k8s/web.yaml:6: spec.minReadySeconds = 7 is not used: the scenario says strategy.it.kubernetes.min_ready_seconds",
            "k8s/web.yaml:14: spec.template.spec.terminationGracePeriodSeconds = 45s is not used: release.grace is 20s",
        ]
    );
    let remarks = desk.remarks("", strategy);
    assert_eq!(
        remarks[4..],
        [
            "k8s/web.yaml:18: readinessProbe = { initial_delay = \"0s\", period = \"3s\", success_threshold = 1, failure_threshold = 3 } is not used: release.ready_probe is absent",
            "k8s/web.yaml:21: preStop = 5s is not used: release.pre_stop is 0s",
            "k8s/web.yaml:14: spec.template.spec.terminationGracePeriodSeconds = 45s is not used: release.grace is 30s by default",
        ]
    );
    let recreate = "[strategy.it.kubernetes]\nmanifest = \"k8s/web.yaml\"\nname = \"web\"\ntype = \"Recreate\"\n";
    assert_eq!(
        desk.remarks(probe, recreate)[2],
        "k8s/web.yaml:10: spec.strategy.rollingUpdate.maxSurge = 50% is not used: the scenario says strategy.it.kubernetes.type"
    );
    let stack = desk.remarks("grace = \"40s\"", "[strategy.it.swarm]\nmanifest = \"stack.yml\"\n");
    assert_eq!(
        stack[3..],
        [
            "stack.yml:7: services.web.deploy.replicas = 2 is not used: service.instances is 3",
            "stack.yml:5: healthcheck = { initial_delay = \"4s\", period = \"4s\", success_threshold = 1, failure_threshold = 2 } is not used: release.ready_probe is absent",
        ]
    );
}

#[test]
fn mistakes_are_found_where_they_are() {
    let desk = Desk::new();
    let kubernetes = |rest: &str| format!("[strategy.it.kubernetes]\nmanifest = \"k8s/web.yaml\"\n{rest}");
    let problem = |strategy: &str| desk.parse("", strategy).expect_err("a mistake");
    assert_eq!(
        problem(&kubernetes("")),
        "k8s/web.yaml:24: must hold one workload, or one must be named: Deployment web (line 2), Deployment other (line 24)"
    );
    assert_eq!(
        problem(&kubernetes("name = \"wbe\"")),
        "k8s/web.yaml:1: must hold a workload `wbe`, did you mean `web`?"
    );
    assert_eq!(
        problem(&kubernetes("name = \"db\"")),
        "k8s/web.yaml:32: must be of an orchestrator that is simulated: StatefulSets are not supported yet"
    );
    assert_eq!(
        problem("[strategy.it.kubernetes]\nmanifest = \"stack.yml\"\n"),
        "stack.yml:2: must be a Deployment here"
    );
    assert_eq!(
        problem("[strategy.it.swarm]\nmanifest = \"k8s/web.yaml\"\nname = \"web\"\n"),
        "k8s/web.yaml:2: must be a service of a Docker stack here"
    );
    // A rule across both is told at the scenario's own word, or at the manifest's where that breaks it.
    assert_eq!(
        problem(&kubernetes("name = \"web\"\nmin_ready_seconds = 80")),
        "k8s/web.yaml:7: spec.progressDeadlineSeconds: must exceed min_ready_seconds"
    );
    assert_eq!(
        problem(&kubernetes("name = \"web\"\nprogress_deadline_seconds = 5")),
        "fleet.toml:17: strategy.it.kubernetes.progress_deadline_seconds: must exceed min_ready_seconds"
    );
}

/// What the orchestrator itself would refuse of a Deployment, one edit each.
#[test]
fn what_the_orchestrator_refuses_is_told() {
    let desk = Desk::new();
    for (from, to, then) in [
        ("replicas: 3", "replicas: -3", "5: spec.replicas: must be a whole number from 0 to 2,147,483,647"),
        ("replicas: 3", "replicas: three", "5: spec.replicas: must be a whole number from 0 to 2,147,483,647"),
        (
            "maxSurge: 50%",
            "maxSurge: 5.5",
            "10: spec.strategy.rollingUpdate.maxSurge: must be a count, or a whole percentage such as \"25%\"",
        ),
        (
            "maxSurge: 50%",
            "maxSurge: 0\n      maxUnavailable: 0%",
            "11: spec.strategy.rollingUpdate.maxUnavailable: must exceed 0 when maxSurge is 0, or no step is possible",
        ),
        (
            "maxSurge: 50%",
            "maxUnavailable: 101%",
            "10: spec.strategy.rollingUpdate.maxUnavailable: must be at most 100%",
        ),
        (
            "    rollingUpdate:",
            "    type: Recreate\n    rollingUpdate:",
            "10: spec.strategy.rollingUpdate: must be absent when type is \"Recreate\"",
        ),
        (
            "    rollingUpdate:",
            "    type: Rolling\n    rollingUpdate:",
            "9: spec.strategy.type: must be \"RollingUpdate\" or \"Recreate\"",
        ),
        (
            "progressDeadlineSeconds: 70",
            "progressDeadlineSeconds: 7",
            "7: spec.progressDeadlineSeconds: must exceed minReadySeconds",
        ),
        ("  replicas: 3", "  paused: true", "5: spec.paused: must be false, or nothing is rolled out"),
        ("  strategy:\n", "  strategy: []\n  else:\n", "8: spec.strategy: must be a table"),
        ("        image: web\n", "", ""),
        (
            "        readinessProbe:",
            "        livenessProbe:\n          successThreshold: 2",
            "19: spec.template.spec.containers.web.livenessProbe.successThreshold: must be 1",
        ),
    ] {
        assert_eq!(DEPLOYMENT.matches(from).count(), 1, "`{from}`");
        fs::write(desk.0.path().join("k8s/web.yaml"), DEPLOYMENT.replace(from, to)).expect("a file");
        let strategy = "[strategy.it.kubernetes]\nmanifest = \"k8s/web.yaml\"\nname = \"web\"\n";
        let told = desk.parse("", strategy).err().unwrap_or_default();
        let expected = if then.is_empty() { String::new() } else { format!("k8s/web.yaml:{then}") };
        assert_eq!(told, expected, "{to}");
    }
}

#[test]
fn what_a_manifest_says_is_part_of_what_was_read() {
    let desk = Desk::new();
    let strategy = "[strategy.it.swarm]\nmanifest = \"stack.yml\"\n";
    let before = desk.parse("", strategy).expect("a scenario").hash;
    fs::write(desk.0.path().join("stack.yml"), STACK.replace("8s", "9s")).expect("a file");
    assert_ne!(desk.parse("", strategy).expect("a scenario").hash, before);
}

#[test]
fn an_ecs_service_gives_what_the_scenario_leaves_out_key_by_key() {
    let desk = Desk::new();
    let it = "[strategy.it.ecs]\nmanifest = \"ecs.yaml\"\n";
    let settings = |strategy: &str| match &desk.parse("", strategy).expect("a scenario").strategies[0].strategy {
        Strategy::Ecs(settings) => settings.clone(),
        other => panic!("{other:?}"),
    };
    let own = settings(it);
    assert_eq!((own.minimum_healthy_percent, own.maximum_percent), (100, 150));
    assert_eq!(own.health_check_grace_period, Duration::from_secs(90));
    let rolls_back = CircuitBreaker { rollback: true, ..CircuitBreaker::default() };
    assert_eq!(own.circuit_breaker, Some(rolls_back));
    let count = "circuit_breaker = { threshold_type = \"COUNT\", threshold_value = 9 }\nmaximum_percent = 130\n";
    let edited = settings(&format!("{it}{count}"));
    let threshold = Threshold { of: ThresholdType::Count, value: 9 };
    assert_eq!(
        (edited.maximum_percent, edited.circuit_breaker),
        (130, Some(CircuitBreaker { threshold, ..rolls_back }))
    );
    assert_eq!(settings(&format!("{it}circuit_breaker = {{ enable = false }}\n")).circuit_breaker, None);

    let told = desk.remarks("grace = \"30s\"", it);
    assert_eq!(
        told[2..],
        [
            "ecs.yaml:24: TargetGroup = { initial_delay = \"0s\", period = \"10s\", success_threshold = 5, failure_threshold = 2 } is not used: release.ready_probe is absent",
            "ecs.yaml:26: TargetGroup.deregistration_delay.Value = 1m is not used: release.drain is 0s",
            "ecs.yaml:20: TaskDefinition.ContainerDefinitions.StopTimeout = 20s is not used: release.grace is 30s",
        ]
    );
}

#[test]
fn what_ecs_does_not_roll_out_itself_is_refused_where_it_says_so() {
    let desk = Desk::new();
    for (from, to, then) in [
        ("SchedulingStrategy: REPLICA", "SchedulingStrategy: DAEMON", "7: ECS services with a task on each instance"),
        ("Type: ECS }", "Type: CODE_DEPLOY }", "14: ECS services that CodeDeploy deploys"),
        ("Type: ECS }", "Type: EXTERNAL }", "14: ECS services that somebody else deploys"),
        ("Strategy: ROLLING", "Strategy: BLUE_GREEN", "10: blue/green, linear and canary deployments of ECS"),
    ] {
        assert_eq!(TEMPLATE.matches(from).count(), 1, "`{from}`");
        fs::write(desk.0.path().join("ecs.yaml"), TEMPLATE.replace(from, to)).expect("a file");
        let told = desk.parse("", "[strategy.it.ecs]\nmanifest = \"ecs.yaml\"\n").expect_err("a refusal");
        let (line, what) = then.split_once(": ").expect("a line");
        let problem = "must be of an orchestrator that is simulated";
        assert_eq!(told, format!("ecs.yaml:{line}: {problem}: {what} are not supported yet"));
    }
    fs::write(desk.0.path().join("ecs.yaml"), TEMPLATE.replace("MaximumPercent: 150", "MaximumPercent: 100"))
        .expect("a file");
    assert_eq!(
        desk.parse("", "[strategy.it.ecs]\nmanifest = \"ecs.yaml\"\n").expect_err("a mistake"),
        "ecs.yaml:11: Resources.Service.Properties.DeploymentConfiguration.MaximumPercent: must exceed 100 when minimum_healthy_percent is 100, or no step is possible"
    );
    assert_eq!(
        desk.parse("", "[strategy.it.ecs]\nmanifest = \"stack.yml\"\n").expect_err("a mistake"),
        "stack.yml:2: must be an ECS service here"
    );
}
