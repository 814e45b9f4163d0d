//! Colours: what each thing is painted in, everywhere. From Okabe and Ito's set, which colour-blind readers can tell
//! apart, varied in lightness so that grey prints keep the difference.

use crate::history::Cause;

/// A colour and how much of what is beneath it shows through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Paint {
    /// Red, green and blue.
    pub rgb: (u8, u8, u8),
    /// 1 hides what is beneath.
    pub alpha: f64,
}

const fn opaque(rgb: u32) -> Paint {
    Paint { rgb: ((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8), alpha: 1.0 }
}

impl Paint {
    /// The same colour, partly transparent.
    pub(super) const fn with_alpha(self, alpha: f64) -> Paint {
        Paint { alpha, ..self }
    }
}

pub(super) const PAPER: Paint = opaque(0x00FF_FFFF);
/// Titles and values.
pub(super) const INK: Paint = opaque(0x001F_2933);
/// Labels of axes and remarks.
pub(super) const FADED: Paint = opaque(0x0061_6E7C);
/// Lines of a grid.
pub(super) const GRID: Paint = opaque(0x00E4_E7EB);
/// Axis lines.
pub(super) const FRAME: Paint = opaque(0x009A_A5B1);
/// Stretches of time that are not the rollout.
pub(super) const SHADE: Paint = opaque(0x00F3_F5F7);
/// Something has gone wrong.
pub(super) const ALARM: Paint = VERMILION;

pub(super) const BLUE: Paint = opaque(0x0000_72B2);
pub(super) const SKY: Paint = opaque(0x0056_B4E9);
pub(super) const GREEN: Paint = opaque(0x0000_9E73);
pub(super) const ORANGE: Paint = opaque(0x00E6_9F00);
pub(super) const VERMILION: Paint = opaque(0x00D5_5E00);
pub(super) const PURPLE: Paint = opaque(0x00CC_79A7);
pub(super) const YELLOW: Paint = opaque(0x00F0_E442);
const PLUM: Paint = opaque(0x0088_3C6A);
/// Lines behind data.
pub(super) const PALE: Paint = opaque(0x00B9_C3CE);
const SLATE: Paint = opaque(0x0052_6070);
const BLACK: Paint = opaque(0x0020_2020);
const TEAL: Paint = opaque(0x0000_6B5A);
const OLIVE: Paint = opaque(0x007A_7A00);
const ROSE: Paint = opaque(0x00E8_8FA0);
const BROWN: Paint = opaque(0x008A_5A2B);

/// An orchestrator's colour.
pub(super) fn orchestrator(name: &str) -> Paint {
    match name {
        "kubernetes" => BLUE,
        "swarm" => VERMILION,
        "octopus" => GREEN,
        "waves" => PURPLE,
        "shift" => TEAL,
        "nomad" => PLUM,
        "argo" => BROWN,
        "ecs" => ORANGE,
        _ => SLATE,
    }
}

/// A cause's colour.
pub(super) const fn cause(cause: Cause) -> Paint {
    match cause {
        Cause::NoEndpoint => BLACK,
        Cause::StaleEndpoint => VERMILION,
        Cause::CutOff => ORANGE,
        Cause::QueueFull => BLUE,
        Cause::TimedOutWaiting => SKY,
        Cause::TimedOutInService => PURPLE,
        Cause::Abandoned => PLUM,
        Cause::Shed => TEAL,
        Cause::Error => BROWN,
        Cause::Defect => YELLOW,
        Cause::Crash => PALE,
        Cause::WrongSchema => OLIVE,
        Cause::WrongVersion => ROSE,
    }
}

/// What an instance does, as the chart of instances tells it: colour and words, in the order of the legend.
pub(super) const STATES: [(&str, Paint); 9] = [
    ("old, ready", SKY),
    ("new, ready", GREEN),
    ("pulling", YELLOW),
    ("prepared", PALE),
    ("starting", ORANGE),
    ("ready, out of the balancer", FRAME),
    ("draining", PURPLE),
    ("stopping", PLUM),
    ("down", VERMILION),
];

/// The position among [`STATES`] of a version and phase in the words of the files.
pub(super) fn state(version: &str, phase: &str) -> usize {
    match phase {
        "ready" => usize::from(version == "new"),
        "pulling" => 2,
        "prepared" => 3,
        "starting" => 4,
        "taken out" => 5,
        "draining" => 6,
        "stopping" => 7,
        _ => 8,
    }
}
