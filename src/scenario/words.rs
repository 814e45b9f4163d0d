//! The words that a scenario file chooses among, each standing for a value.

use super::units::words;
use super::{Arrivals, Choice, DatabaseStep, Discipline, Discovery, Failures, Redispatch, Ties, WarmUpShape};
use crate::rollback::Verdict;
use crate::rollout::OnFailure;
use crate::rollout::ecs::ThresholdType;
use crate::rollout::kubernetes::PodReplacement;
use crate::rollout::nomad::{DelayFunction, HealthCheck, OnUpdate};
use crate::rollout::shift::Capacity;
use crate::rollout::swarm::{Change, Condition, FailureAction, Order};
use std::time::Duration;

/// A judge without settings.
#[derive(Clone, Copy, Debug)]
pub(super) enum PlainPolicy {
    Orchestrator,
    None,
    Pause,
}

/// `strategy.type` of a Deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentType {
    /// A few at a time.
    RollingUpdate,
    /// All old ones go before the first new one comes.
    Recreate,
}

words! {
    /// How the gaps between requests behave.
    ArrivalsWord: Arrivals { "poisson" => Arrivals::Poisson, "deterministic" => Arrivals::Deterministic }
}
words! {
    /// How an instance is chosen.
    ChoiceWord: Choice {
        "round-robin" => Choice::RoundRobin,
        "random" => Choice::Random,
        "least-connections" => Choice::LeastConnections(Ties::Random),
        "power-of-two" => Choice::POWER_OF_TWO,
        "join-idle-queue" => Choice::JoinIdleQueue,
        "peak-ewma" => Choice::PeakEwma { decay: Duration::from_secs(10) },
    }
}
words! {
    /// Which of several equals is chosen.
    TiesWord: Ties { "random" => Ties::Random, "turns" => Ties::Turns }
}
words! {
    /// How an instance's workers share its requests.
    DisciplineWord: Discipline {
        "fifo" => Discipline::Fifo,
        "processor-sharing" => Discipline::ProcessorSharing,
    }
}
words! {
    /// Whom balancers know of.
    DiscoveryWord: Discovery { "service" => Discovery::Service, "static" => Discovery::Static }
}
words! {
    /// Which failures count against an instance.
    FailuresWord: Failures { "connect" => Failures::Connect, "all" => Failures::All }
}
words! {
    /// Where a further try goes.
    RedispatchWord: Redispatch {
        "same" => Redispatch::Same,
        "other" => Redispatch::Other,
        "untried" => Redispatch::Untried,
    }
}
words! {
    /// How the warm-up factor comes down.
    ShapeWord: WarmUpShape { "linear" => WarmUpShape::Linear, "exponential" => WarmUpShape::Exponential }
}
words! {
    /// `strategy.type` of a Deployment.
    DeploymentWord: DeploymentType {
        "RollingUpdate" => DeploymentType::RollingUpdate,
        "Recreate" => DeploymentType::Recreate,
    }
}
/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandKind {
    Pause,
    Resume,
    Promote,
    Abort,
    Undo,
    Deploy,
    Scale,
}

words! {
    /// What a command asks for.
    CommandWord: CommandKind {
        "pause" => CommandKind::Pause,
        "resume" => CommandKind::Resume,
        "promote" => CommandKind::Promote,
        "abort" => CommandKind::Abort,
        "undo" => CommandKind::Undo,
        "deploy" => CommandKind::Deploy,
        "scale" => CommandKind::Scale,
    }
}
/// What a human answers when a child step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerKind {
    Fail,
    Retry,
    Ignore,
    Exclude,
}

words! {
    /// What a human answers when a child step failed.
    AnswerWord: AnswerKind {
        "fail" => AnswerKind::Fail,
        "retry" => AnswerKind::Retry,
        "ignore" => AnswerKind::Ignore,
        "exclude" => AnswerKind::Exclude,
    }
}
words! {
    /// How large the two fleets of a rollout by traffic shifting are.
    CapacityWord: Capacity {
        "double" => Capacity::Double,
        "grown" => Capacity::Grown,
        "exchanged" => Capacity::Exchanged,
    }
}
words! {
    /// What happens when an instance of a wave fails.
    OnFailureWord: OnFailure {
        "stop" => OnFailure::Stop,
        "roll-back" => OnFailure::RollBack,
        "continue" => OnFailure::Continue,
    }
}
words! {
    /// `podReplacementPolicy`.
    ReplacementWord: PodReplacement {
        "TerminationStarted" => PodReplacement::TerminationStarted,
        "TerminationComplete" => PodReplacement::TerminationComplete,
    }
}
words! {
    /// `--update-failure-action`.
    FailureWord: FailureAction {
        "pause" => FailureAction::Pause,
        "continue" => FailureAction::Continue,
        "rollback" => FailureAction::Rollback,
    }
}
words! {
    /// `--rollback-failure-action`.
    RollbackFailureWord: FailureAction { "pause" => FailureAction::Pause, "continue" => FailureAction::Continue }
}
words! {
    /// `--update-order`.
    OrderWord: Order { "stop-first" => Order::StopFirst, "start-first" => Order::StartFirst }
}
words! {
    /// When the schema of the database changes.
    DatabaseStepWord: DatabaseStep {
        "before" => DatabaseStep::Before,
        "during" => DatabaseStep::During,
        "after" => DatabaseStep::After,
    }
}
words! {
    /// `--restart-condition`.
    ConditionWord: Condition {
        "any" => Condition::Any,
        "on-failure" => Condition::OnFailure,
        "none" => Condition::None,
    }
}
words! {
    /// What an update changes.
    ChangeWord: Change {
        "image" => Change::Image,
        "force" => Change::Force,
        "pull-credentials" => Change::PullCredentials,
        "placement" => Change::Placement,
    }
}
words! {
    /// `health_check`.
    HealthCheckWord: HealthCheck {
        "checks" => HealthCheck::Checks,
        "task_states" => HealthCheck::TaskStates,
        "manual" => HealthCheck::Manual,
    }
}
words! {
    /// `on_update`.
    OnUpdateWord: OnUpdate {
        "require_healthy" => OnUpdate::RequireHealthy,
        "ignore_warnings" => OnUpdate::IgnoreWarnings,
        "ignore" => OnUpdate::Ignore,
    }
}
words! {
    /// `delay_function`.
    DelayFunctionWord: DelayFunction {
        "constant" => DelayFunction::Constant,
        "exponential" => DelayFunction::Exponential,
        "fibonacci" => DelayFunction::Fibonacci,
    }
}
words! {
    /// `thresholdConfiguration.type`.
    ThresholdWord: ThresholdType {
        "BOUNDED_PERCENT" => ThresholdType::BoundedPercent,
        "UNBOUNDED_PERCENT" => ThresholdType::UnboundedPercent,
        "COUNT" => ThresholdType::Count,
    }
}
words! {
    /// A judge without settings.
    PolicyWord: PlainPolicy {
        "orchestrator" => PlainPolicy::Orchestrator,
        "none" => PlainPolicy::None,
        "pause" => PlainPolicy::Pause,
    }
}
words! {
    /// What a human does about a bad release.
    VerdictWord: Verdict { "roll-back" => Verdict::RollBack, "pause" => Verdict::Pause }
}
words! {
    /// How a rollout ends.
    OutcomeWord: &'static str {
        "completed" => "completed",
        "rolled back" => "rolled back",
        "paused" => "paused",
        "stuck" => "stuck",
        "failed" => "failed",
        "unfinished" => "unfinished",
    }
}
words! {
    /// Why a request was lost.
    CauseWord: &'static str {
        "no_endpoint" => "no_endpoint",
        "stale_endpoint" => "stale_endpoint",
        "cut_off" => "cut_off",
        "queue_full" => "queue_full",
        "timed_out_waiting" => "timed_out_waiting",
        "timed_out_in_service" => "timed_out_in_service",
        "abandoned" => "abandoned",
        "shed" => "shed",
        "error" => "error",
        "defect" => "defect",
        "crash" => "crash",
        "wrong_schema" => "wrong_schema",
        "wrong_version" => "wrong_version",
    }
}
