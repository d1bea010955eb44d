//! Where on an axis a value lies, and which values are written beside it.

/// From one value to another, in even steps or in even factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Axis {
    /// From nothing up to this.
    Even { most: f64 },
    /// Between these powers of ten.
    Powers { from: i32, to: i32 },
}

// === impl Axis ===

impl Axis {
    /// From zero to a round value that none of these is above.
    pub(crate) fn even(values: impl Iterator<Item = f64>) -> Self {
        let most = values.fold(0.0, f64::max);
        if most <= 0.0 {
            return Self::Even { most: 1.0 };
        }
        let power = 10_f64.powf(most.log10().floor());
        let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
        let round = steps.iter().map(|step| step * power);
        let most = round.fold(f64::INFINITY, |least, round| {
            if round >= most {
                least.min(round)
            } else {
                least
            }
        });
        Self::Even { most }
    }

    /// Between the powers of ten around these; what is not above zero lies nowhere on it.
    pub(crate) fn powers(values: impl Iterator<Item = f64>) -> Self {
        let logs = values.filter(|value| *value > 0.0).map(f64::log10);
        let (least, most) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), log| {
            (least.min(log), most.max(log))
        });
        if least > most {
            return Self::Powers { from: 0, to: 1 };
        }
        let from = power_below(least);
        let to = -power_below(-most);
        Self::Powers {
            from,
            to: to.max(from + 1),
        }
    }

    /// 0 at its beginning, 1 at its end.
    pub(crate) fn place(self, value: f64) -> Option<f64> {
        match self {
            Self::Even { most } => Some(value / most),
            Self::Powers { from, to } => (value > 0.0)
                .then(|| (value.log10() - f64::from(from)) / (f64::from(to) - f64::from(from))),
        }
    }

    /// The values that are written beside it.
    pub(crate) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Even { most } => vec![0.0, most / 2.0, most],
            Self::Powers { from, to } => (from..=to).map(|power| 10_f64.powi(power)).collect(),
        }
    }
}

/// The exponent of the power of ten at or just below, whose logarithm may be a hair off.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the logarithm of a finite number is small"
)]
fn power_below(log: f64) -> i32 {
    (log + 1e-9).floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_axis_begins_at_zero_and_ends_at_a_round_value() {
        let axis = Axis::even([1.3, 3.1].into_iter());
        assert_eq!(axis, Axis::Even { most: 4.0 });
        assert_eq!(axis.place(1.0), Some(0.25));
        assert_eq!(axis.ticks(), [0.0, 2.0, 4.0]);
        assert_eq!(Axis::even([].into_iter()), Axis::Even { most: 1.0 });
    }

    #[test]
    fn an_axis_of_powers_goes_around_its_values() {
        let axis = Axis::powers([1_000.0, 20_000.0, 0.0].into_iter());
        assert_eq!(axis, Axis::Powers { from: 3, to: 5 });
        assert_eq!(axis.place(10_000.0), Some(0.5));
        assert_eq!(axis.place(0.0), None);
        assert_eq!(axis.ticks(), [1_000.0, 10_000.0, 100_000.0]);
        let one = Axis::powers([10.0].into_iter());
        assert_eq!(one, Axis::Powers { from: 1, to: 2 });
    }
}
