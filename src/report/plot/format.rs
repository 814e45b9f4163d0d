//! Numbers as people write them, with their units.

/// A duration in seconds as people say it: `4.2 s`, `42 s`, `2 min 41 s`, `1 h 5 min`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".into();
    }
    let pair = |large: u64, large_name: &str, small: u64, small_name: &str| match small {
        0 => format!("{large} {large_name}"),
        _ => format!("{large} {large_name} {small} {small_name}"),
    };
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..10 => format!("{} s", trimmed(seconds, 1)),
        10..60 => format!("{whole} s"),
        60..3_600 => pair(whole / 60, "min", whole % 60, "s"),
        _ => pair(whole / 3_600, "h", whole % 3_600 / 60, "min"),
    }
}

/// A latency in milliseconds as people say it: `250 µs`, `4.2 ms`, `400 ms`, `1.2 s`.
pub(super) fn latency(ms: f64) -> String {
    match ms {
        ms if !ms.is_finite() => "?".into(),
        ms if ms < 0.001 => format!("{} µs", trimmed(ms * 1_000.0, 3)),
        ms if ms < 0.999_5 => format!("{} µs", trimmed(ms * 1_000.0, 0)),
        ms if ms < 9.95 => format!("{} ms", trimmed(ms, 1)),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms => format!("{} s", trimmed(ms / 1_000.0, 1)),
    }
}

/// A share with as many decimals as it takes to see what is missing to 100 %. Cut off, never rounded up: 99.99999 %
/// is not 100 %.
pub(super) fn share(share: f64) -> String {
    if !share.is_finite() {
        return "?".into();
    }
    let missing = (1.0 - share) * 100.0;
    if missing < 1e-9 {
        return "100 %".into();
    }
    let decimals = (1.0 - libm::floor(libm::log10(missing))).clamp(1.0, 4.0);
    let unit = libm::pow(10.0, decimals);
    let cut = libm::floor(share.max(0.0) * 100.0 * unit + 1e-6) / unit;
    format!("{cut:.*} %", decimals as usize)
}

/// A count, or the mean of counts: `0`, `0.03`, `4.2`, `57`, `12,345`.
pub(super) fn count(value: f64) -> String {
    let size = value.abs();
    match size {
        size if !size.is_finite() => "?".into(),
        size if size < 1e-12 => "0".into(),
        size if size < 0.995 => {
            let decimals = -libm::floor(libm::log10(size)) + 1.0;
            trimmed(value, decimals as usize)
        }
        size if size < 99.95 => trimmed(value, 1),
        _ => {
            let digits = format!("{size:.0}");
            let mut text = String::from(if value < 0.0 { "−" } else { "" });
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
    }
}

/// How many decimals tell multiples of a step apart.
pub(super) fn decimals_of(step: f64) -> usize {
    let needed = -libm::floor(libm::log10(step.max(1e-9)) + 1e-9);
    needed.clamp(0.0, 9.0) as usize
}

/// A number with some decimals, without noughts at their end.
pub(super) fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        for (found, expected) in [
            (duration(0.0), "0 s"),
            (duration(4.2), "4.2 s"),
            (duration(59.7), "1 min"),
            (duration(161.0), "2 min 41 s"),
            (duration(3_900.0), "1 h 5 min"),
            (duration(f64::NAN), "?"),
            (latency(0.25), "250 µs"),
            (latency(4.2), "4.2 ms"),
            (latency(399.7), "400 ms"),
            (latency(1_230.0), "1.2 s"),
            (share(1.0), "100 %"),
            (share(0.999_53), "99.953 %"),
            (share(0.972), "97.2 %"),
            (share(0.999_999_9), "99.9999 %"),
            (share(0.0), "0.0 %"),
            (count(0.0), "0"),
            (count(0.025), "0.025"),
            (count(4.0), "4"),
            (count(57.25), "57.2"),
            (count(12_345.4), "12,345"),
            (count(1_234_567.0), "1,234,567"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
