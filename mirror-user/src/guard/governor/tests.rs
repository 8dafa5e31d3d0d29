//! The governor alone, and in a loop with a simulated host and target.

use proptest::prelude::*;

use super::*;

/// A tenth of a percent, the default: nine steps.
const STEPS: u32 = 9;

fn bounds() -> Bounds {
    Bounds { cpu: None, memory: None, steps: STEPS }
}

fn cpu(share: f64) -> Measured {
    Measured { used: Used { cpu: share, memory: 0 }, ..Measured::default() }
}

fn taken(share: f64) -> Measured {
    Measured { taken: Some(share), ..Measured::default() }
}

const CALM: Host = Host { processors: 2.0, idle: 0.5, waiting: 0.0, softirq: 0.0, memory: 0.0 };

#[test]
fn steps_down_at_once_and_up_after_a_while() {
    let mut governor = Governor::new(Bounds { cpu: Some(0.2), ..bounds() });
    assert_eq!(governor.judge(&cpu(0.19)), None);
    assert_eq!(governor.judge(&cpu(0.3)), Some(Step::Down(Excess::Cpu(0.3, 0.2))));
    assert_eq!(governor.judge(&cpu(0.25)), Some(Step::Down(Excess::Cpu(0.25, 0.2))));
    assert_eq!(governor.threshold(), Sample::ALL.threshold() / 4);
    // Doubling would exceed the limit.
    assert!((0..20).all(|_| governor.judge(&cpu(0.1)).is_none()));
    assert!((1..MEASUREMENTS_BEFORE_RAISE).all(|_| governor.judge(&cpu(0.05)).is_none()));
    assert_eq!(governor.judge(&cpu(0.05)), Some(Step::Up));
    assert_eq!(governor.threshold(), Sample::ALL.threshold() / 2);
}

#[test]
fn memory_counts_as_well() {
    let mut governor = Governor::new(Bounds { memory: Some(100), ..bounds() });
    let used = |memory| Measured { used: Used { cpu: 9.0, memory }, ..Measured::default() };
    assert_eq!(governor.judge(&used(101)), Some(Step::Down(Excess::Memory(101, 100))));
    assert!((0..20).all(|_| governor.judge(&used(85)).is_none()));
    let ups = (0..MEASUREMENTS_BEFORE_RAISE)
        .filter(|_| governor.judge(&used(50)) == Some(Step::Up))
        .count();
    assert_eq!(ups, 1);
}

#[test]
fn a_step_up_that_was_one_too_many_is_tried_again_later_each_time() {
    let mut governor = Governor::new(bounds());
    assert_eq!(governor.judge(&taken(0.6)), Some(Step::Down(Excess::Targets(0.6))));
    let mut waits = Vec::new();
    for _ in 0..6 {
        let wait = (1..).find(|_| governor.judge(&taken(1.0)) == Some(Step::Up)).unwrap();
        waits.push(wait);
        assert!(matches!(governor.judge(&taken(0.6)), Some(Step::Down(_))));
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    // Once it holds, the next one comes soon.
    assert_eq!((1..).find(|_| governor.judge(&taken(1.0)) == Some(Step::Up)), Some(60));
    assert!((0..HELD).all(|_| governor.judge(&taken(1.0)).is_none()));
    assert!(matches!(governor.judge(&taken(0.6)), Some(Step::Down(_))));
    assert_eq!((1..).find(|_| governor.judge(&taken(1.0)) == Some(Step::Up)), Some(5));
}

#[test]
fn each_pressure_of_the_host_counts_while_mirror_uses_more_than_its_share() {
    let judge = |host: Host, used: f64| {
        let measured = Measured { host: Some(host), ..cpu(used) };
        Governor::new(bounds()).judge(&measured)
    };
    let pressed = [
        (Host { idle: 0.01, ..CALM }, Excess::HostBusy(0.01, 0.1)),
        (Host { waiting: 0.7, ..CALM }, Excess::HostWaits(0.7, 0.1)),
        (Host { softirq: 0.6, ..CALM }, Excess::Softirq(0.6, 0.1)),
    ];
    for (host, excess) in pressed {
        assert_eq!(judge(host, 0.2), Some(Step::Down(excess)));
        assert_eq!(judge(host, 0.05), None, "that is less than its share of two processors");
    }
    assert_eq!(judge(CALM, 0.9), None);
    let memory = Host { memory: 0.2, ..CALM };
    assert_eq!(judge(memory, 0.0), Some(Step::Down(Excess::HostMemory(0.2))));
}

#[test]
fn many_times_too_much_takes_several_steps() {
    let mut governor = Governor::new(bounds());
    let full = Measured { host: Some(Host { idle: 0.0, ..CALM }), ..cpu(0.8) };
    assert!(governor.judge(&full).is_some());
    assert_eq!(governor.threshold(), Sample::ALL.threshold() >> MAX_STEPS_AT_ONCE);
    assert_eq!(governor.judge(&taken(0.0)), Some(Step::Down(Excess::Targets(0.0))));
    assert_eq!(governor.threshold(), Sample::ALL.threshold() >> (2 * MAX_STEPS_AT_ONCE));
}

/// A host with two processors: production takes what it wants of what mirror and its target leave.
struct Simulated {
    /// Shares of both processors: wanted by production; by mirror for everything; by the target for everything.
    production: f64,
    mirror: f64,
    target: f64,
    /// The share of everything that the target can take.
    takes: f64,
}

impl Simulated {
    fn at(&self, threshold: u64) -> Measured {
        let sample = threshold as f64 / Sample::ALL.threshold() as f64;
        let mirror = self.mirror * sample;
        let delivered = sample.min(self.takes);
        let wanted = self.production + mirror + self.target * delivered;
        let host = Host { idle: (1.0 - wanted).max(0.0), ..CALM };
        let taken = (sample > 0.01).then(|| (self.takes / sample).min(1.0));
        Measured { host: Some(host), taken, ..cpu(2.0 * mirror) }
    }

    /// The samples after each of so many seconds.
    fn run(&self, governor: &mut Governor, seconds: usize) -> Vec<u64> {
        let step = |_| {
            let measured = self.at(governor.threshold());
            governor.judge(&measured);
            Sample::ALL.threshold() / governor.threshold()
        };
        (0..seconds).map(step).collect()
    }
}

#[test]
fn a_calm_host_and_a_fast_target_get_everything() {
    let mut governor = Governor::new(bounds());
    let calm = Simulated { production: 0.5, mirror: 0.2, target: 0.2, takes: 1.0 };
    assert!(calm.run(&mut governor, 600).iter().all(|one_in| *one_in == 1));
}

#[test]
fn a_saturated_host_gives_mirror_its_share_until_there_is_room_again() {
    let mut governor = Governor::new(bounds());
    let saturated = Simulated { production: 1.0, mirror: 0.3, target: 0.3, takes: 1.0 };
    let samples = saturated.run(&mut governor, 600);
    assert_eq!(samples.get(2..), Some(&[16; 598][..]), "0.3 / 16 is within {MAX_SHARE}");
    let calm = Simulated { production: 0.2, ..saturated };
    let samples = calm.run(&mut governor, 60);
    assert!(samples.is_sorted_by(|a, b| a >= b), "{samples:?}");
    assert_eq!((samples[0], samples[59]), (16, 1));
    let steps = samples.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(steps, 4, "one after the other");
}

#[test]
fn a_slow_target_gets_what_it_takes() {
    let mut governor = Governor::new(bounds());
    let slow = Simulated { production: 0.3, mirror: 0.2, target: 0.1, takes: 0.3 };
    let samples = slow.run(&mut governor, 600);
    let late = &samples[120..];
    let as_taken = late.iter().filter(|one_in| **one_in == 4).count();
    assert!(late.iter().all(|one_in| [2, 4].contains(one_in)), "{samples:?}");
    assert!(as_taken * 10 > late.len() * 9, "{as_taken} of {} s", late.len());
}

#[test]
fn a_dead_target_costs_next_to_nothing() {
    let mut governor = Governor::new(bounds());
    let dead = Simulated { production: 0.3, mirror: 0.2, target: 0.0, takes: 0.0 };
    let samples = dead.run(&mut governor, 600);
    assert!(samples[2] >= 64, "{samples:?}");
    assert!(samples[60..].iter().all(|one_in| *one_in >= 32), "{samples:?}");
}

proptest! {
    #[test]
    fn the_sample_stays_within_its_bounds(
        found in prop::collection::vec((0.0..2.0_f64, 0.0..1.0_f64, 0.0..1.0_f64), 0..300),
    ) {
        let mut governor = Governor::new(Bounds { cpu: Some(0.5), ..bounds() });
        for (used, idle, share) in found {
            let host = Some(Host { idle, ..CALM });
            let before = governor.threshold();
            let step = governor.judge(&Measured { host, taken: Some(share), ..cpu(used) });
            let after = governor.threshold();
            prop_assert!((Sample::ALL.threshold() >> STEPS..=Sample::ALL.threshold()).contains(&after));
            match step {
                Some(Step::Down(_)) => prop_assert!(after < before),
                Some(Step::Up) => prop_assert_eq!(after, before * 2),
                None => prop_assert_eq!(after, before),
            }
        }
    }
}
