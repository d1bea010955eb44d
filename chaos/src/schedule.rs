//! What happens in a round: a function of its seed and of nothing else.

use crate::fault::{Fault, Line, Loss, Victim};
use crate::wire::Trouble;
use fastrand::Rng;
use std::fmt;
use std::time::Duration;

/// How many proxies there are, and how many workers.
pub(crate) const PAIR: usize = 2;

/// The sale goes on undisturbed for this long.
const FIRST_FAULT_MS: u64 = 1_000;

/// No fault begins later than this.
const LAST_FAULT_MS: u64 = 8_500;

/// All faults have ended by then.
pub(crate) const FAULTS_OVER_MS: u64 = 15_000;

/// Longer than every timeout that waits for somebody who does not answer, MySQL's statements and
/// TCP's own excepted: the session of a Kafka group has the longest, 6 s.
const FREEZE_MS: std::ops::Range<u64> = 3_500..9_000;

const FAULTS: std::ops::Range<usize> = 5..11;

/// One round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) sale: Sale,
    /// In the order in which they begin.
    pub(crate) steps: Vec<Step>,
}

/// The sale of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sale {
    pub(crate) stock: u32,
    /// Units a buyer.
    pub(crate) limit: u32,
    pub(crate) hold_ms: u64,
    pub(crate) durability: Durability,
    pub(crate) buyers: u32,
}

/// When a proxy says that a buyer has units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// When the primary has decided.
    Primary,
    /// When its replica has that, too.
    Replica,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// From the sale's opening to its beginning.
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

// === impl Schedule ===

impl Schedule {
    /// The round of a seed.
    pub(crate) fn of(seed: u64, buyers: u32) -> Self {
        let mut rng = Rng::with_seed(seed);
        let sale = Sale::drawn(&mut rng, buyers);
        let wanted = rng.usize(FAULTS);
        let mut steps: Vec<Step> = Vec::new();
        // Two faults that are about one thing cannot be told apart; such a one is drawn again.
        for _ in 0..wanted * 20 {
            if steps.len() == wanted {
                break;
            }
            let step = Step::drawn(&mut rng);
            if !steps.iter().any(|other| other.excludes(&step)) {
                steps.push(step);
            }
        }
        steps.sort_by_key(|step| step.at);
        Self { seed, sale, steps }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, sale, steps } = self;
        writeln!(f, "seed {seed}: {sale}")?;
        for step in steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}

// === impl Sale ===

impl Sale {
    fn drawn(rng: &mut Rng, buyers: u32) -> Self {
        Self {
            stock: buyers * rng.u32(20..60) / 100,
            limit: rng.u32(1..4),
            hold_ms: rng.u64(2_000..8_000),
            durability: if rng.u8(0..4) == 0 {
                Durability::Primary
            } else {
                Durability::Replica
            },
            buyers,
        }
    }
}

impl fmt::Display for Sale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stock,
            limit,
            hold_ms,
            buyers,
            ..
        } = self;
        let durability = self.durability.word();
        write!(
            f,
            "{stock} units, {limit} a buyer, held for {hold_ms} ms, {buyers} buyers, \
             durability {durability}"
        )
    }
}

// === impl Durability ===

impl Durability {
    /// As the proxy's configuration spells it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

// === impl Step ===

impl Step {
    fn drawn(rng: &mut Rng) -> Self {
        let fault = fault(rng);
        let lasts_ms = match fault {
            _ if fault.is_momentary() => 0,
            Fault::Freeze(_) | Fault::Promote(_) => rng.u64(FREEZE_MS),
            _ => rng.u64(300..6_000),
        };
        let at_ms = rng.u64(FIRST_FAULT_MS..LAST_FAULT_MS);
        Self {
            at: Duration::from_millis(at_ms),
            lasts: Duration::from_millis(lasts_ms.min(FAULTS_OVER_MS - at_ms)),
            fault,
        }
    }

    /// When it is over.
    pub(crate) fn end(&self) -> Duration {
        self.at + self.lasts
    }

    /// Whether both cannot be in one round, or not at one time.
    fn excludes(&self, other: &Self) -> bool {
        let promotes = |step: &Self| matches!(step.fault, Fault::Promote(_));
        // A promotion needs both servers, and it is about every wire to them.
        let touches_redis = |step: &Self| match step.fault {
            Fault::Kill(victim)
            | Fault::Freeze(victim)
            | Fault::Restart(victim)
            | Fault::FullDisk(victim)
            | Fault::Clock(victim, _) => matches!(victim, Victim::Primary | Victim::Replica),
            Fault::Trouble(line, _) => line == Line::ReplicaToPrimary,
            Fault::Promote(_) => true,
            Fault::ReadOnly => false,
        };
        let same = match (victim_of(self), victim_of(other)) {
            (Some(one), Some(another)) => one == another,
            _ => line_of(self).is_some() && line_of(self) == line_of(other),
        };
        let is_about_one = same
            || (promotes(self) && touches_redis(other))
            || (promotes(other) && touches_redis(self));
        let apart = Duration::from_millis(500);
        let at_one_time = self.at < other.end() + apart && other.at < self.end() + apart;
        (promotes(self) && promotes(other)) || (is_about_one && at_one_time)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, lasts, fault } = self;
        write!(f, "  {:5.1} s  {fault}", at.as_secs_f64())?;
        if fault.is_momentary() {
            return Ok(());
        }
        write!(f, ", for {:.1} s", lasts.as_secs_f64())
    }
}

fn victim_of(step: &Step) -> Option<Victim> {
    match step.fault {
        Fault::Kill(victim)
        | Fault::Freeze(victim)
        | Fault::Restart(victim)
        | Fault::FullDisk(victim)
        | Fault::Clock(victim, _) => Some(victim),
        Fault::ReadOnly => Some(Victim::MariaDb),
        Fault::Trouble(..) | Fault::Promote(_) => None,
    }
}

fn line_of(step: &Step) -> Option<Line> {
    match step.fault {
        Fault::Trouble(line, _) => Some(line),
        _ => None,
    }
}

fn fault(rng: &mut Rng) -> Fault {
    match rng.u8(0..100) {
        0..20 => Fault::Kill(victim(rng)),
        20..35 => Fault::Freeze(victim(rng)),
        35..42 => Fault::Restart(victim(rng)),
        42..70 => Fault::Trouble(line(rng), trouble(rng)),
        70..80 => Fault::Promote(loss(rng)),
        80..87 => Fault::FullDisk(with_a_disk(rng)),
        87..92 => Fault::ReadOnly,
        _ => Fault::Clock(with_a_clock(rng), wrong_by_ms(rng)),
    }
}

fn victim(rng: &mut Rng) -> Victim {
    match rng.u8(0..7) {
        0 => Victim::Primary,
        1 => Victim::Replica,
        2 => Victim::Kafka,
        3 => Victim::MariaDb,
        4 => Victim::Proxy(rng.usize(..PAIR)),
        5 => Victim::Worker(rng.usize(..PAIR)),
        _ => Victim::Shop,
    }
}

fn with_a_disk(rng: &mut Rng) -> Victim {
    match rng.u8(0..4) {
        0 => Victim::Primary,
        1 => Victim::Replica,
        2 => Victim::Kafka,
        _ => Victim::MariaDb,
    }
}

fn with_a_clock(rng: &mut Rng) -> Victim {
    match rng.u8(0..4) {
        0 | 1 => Victim::Primary,
        2 => Victim::Proxy(rng.usize(..PAIR)),
        _ => Victim::Worker(rng.usize(..PAIR)),
    }
}

/// Seconds, as where nobody keeps the time; or an hour, as where somebody mistook the zone.
fn wrong_by_ms(rng: &mut Rng) -> i64 {
    let by_ms = if rng.bool() {
        rng.i64(500..8_000)
    } else {
        3_600_000
    };
    if rng.bool() { by_ms } else { -by_ms }
}

fn line(rng: &mut Rng) -> Line {
    let number = rng.usize(..PAIR);
    match rng.u8(0..7) {
        0 => Line::BuyersToProxy(number),
        1 => Line::ProxyToRedis(number),
        2 => Line::ProxyToShop(number),
        3 => Line::WorkerToRedis(number),
        4 => Line::WorkerToKafka(number),
        5 => Line::WorkerToMariaDb(number),
        _ => Line::ReplicaToPrimary,
    }
}

fn trouble(rng: &mut Rng) -> Trouble {
    match rng.u8(0..6) {
        0 => Trouble::Refuse,
        1 => Trouble::Cut,
        2 => Trouble::Delay(Duration::from_millis(rng.u64(5..400))),
        3 => Trouble::Hold,
        4 => Trouble::SwallowQuestions,
        _ => Trouble::SwallowAnswers,
    }
}

fn loss(rng: &mut Rng) -> Loss {
    match rng.u8(0..3) {
        0 => Loss::Killed,
        1 => Loss::Frozen,
        _ => Loss::Split,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const BUYERS: u32 = 3000;

    /// How many rounds `make chaos ROUNDS=100` has.
    const SEEDS: std::ops::RangeInclusive<u64> = 1..=100;

    fn schedules() -> impl Iterator<Item = Schedule> {
        SEEDS.map(|seed| Schedule::of(seed, BUYERS))
    }

    fn faults() -> impl Iterator<Item = Fault> {
        schedules().flat_map(|schedule| schedule.steps.into_iter().map(|step| step.fault))
    }

    #[test]
    fn a_seed_has_one_schedule() {
        for seed in SEEDS {
            let schedule = Schedule::of(seed, BUYERS);
            assert_eq!(schedule, Schedule::of(seed, BUYERS));
            assert_ne!(schedule.steps, Schedule::of(seed + 1, BUYERS).steps);
        }
    }

    #[test]
    fn a_hundred_seeds_have_every_fault_for_every_part_and_every_line() {
        // What a fault is about, without how much.
        let seen: BTreeSet<String> = faults()
            .map(|fault| match fault {
                Fault::Clock(victim, by_ms) => format!("clock of {victim} {}", by_ms.signum()),
                Fault::Trouble(line, _) => line.to_string(),
                other => other.to_string(),
            })
            .collect();
        let troubles: BTreeSet<String> = faults()
            .filter_map(|fault| match fault {
                Fault::Trouble(_, Trouble::Delay(_)) => Some("late".to_owned()),
                Fault::Trouble(_, trouble) => Some(format!("{trouble:?}")),
                _ => None,
            })
            .collect();
        let victims = [
            Victim::Primary,
            Victim::Replica,
            Victim::Kafka,
            Victim::MariaDb,
            Victim::Proxy(0),
            Victim::Proxy(1),
            Victim::Worker(0),
            Victim::Worker(1),
            Victim::Shop,
        ];
        let mut expected: Vec<String> = Vec::new();
        for victim in victims {
            expected.push(Fault::Kill(victim).to_string());
            expected.push(Fault::Freeze(victim).to_string());
        }
        expected.extend(Line::all().map(|line| line.to_string()));
        for loss in [Loss::Killed, Loss::Frozen, Loss::Split] {
            expected.push(Fault::Promote(loss).to_string());
        }
        for victim in [
            Victim::Primary,
            Victim::Replica,
            Victim::Kafka,
            Victim::MariaDb,
        ] {
            expected.push(Fault::FullDisk(victim).to_string());
        }
        expected.push(Fault::ReadOnly.to_string());
        expected.extend(["clock of the primary -1", "clock of the primary 1"].map(str::to_owned));
        for name in &expected {
            assert!(seen.contains(name), "no {name} in {seen:#?}");
        }
        assert_eq!(troubles.len(), 6, "{troubles:?}");
    }

    #[test]
    fn faults_end_before_the_quiet_begins() {
        let over = Duration::from_millis(FAULTS_OVER_MS);
        for schedule in schedules() {
            assert!(!schedule.steps.is_empty(), "{schedule}");
            for step in &schedule.steps {
                assert!(step.end() <= over, "{schedule}");
                assert!(step.fault.is_momentary() || step.lasts > Duration::ZERO);
            }
        }
    }

    #[test]
    fn no_two_faults_are_about_one_thing_at_one_time() {
        for schedule in schedules() {
            let steps = &schedule.steps;
            for (number, step) in steps.iter().enumerate() {
                let others = steps.iter().skip(number + 1);
                assert!(!others.into_iter().any(|other| step.excludes(other)));
            }
        }
    }

    #[test]
    fn most_rounds_wait_for_the_replica_and_some_do_not() {
        let waits = |schedule: &Schedule| schedule.sale.durability == Durability::Replica;
        let waiting = schedules().filter(waits).count();
        assert!((50..95).contains(&waiting), "{waiting}");
    }
}
