//! Interims of many subscribers leave evenly, whenever those came.

use std::time::Duration;

use crate::card::{Bears, Card, settings};

const SESSIONS: usize = 100_000;

/// How likely a larger distance from the uniform distribution is by chance (Kolmogorov–Smirnov, the asymptotic series).
fn ks_p(mut phases: Vec<f64>) -> f64 {
    phases.sort_by(f64::total_cmp);
    let count = phases.len() as f64;
    let distance = phases.iter().zip(0..).fold(0.0_f64, |most, (phase, index)| {
        let (below, upto) = (f64::from(index) / count, f64::from(index + 1) / count);
        most.max((phase - below).abs()).max((upto - phase).abs())
    });
    let scaled = (count.sqrt() + 0.12 + 0.11 / count.sqrt()) * distance;
    if scaled < 0.3 {
        // The series needs ever more terms for what is certain anyway.
        return 1.0;
    }
    let term = |k: i32| f64::from(1 - 2 * ((k - 1) % 2)) * (-2.0 * f64::from(k * k) * scaled * scaled).exp();
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

#[test]
fn the_p_value_is_that_of_the_tables() {
    let even: Vec<f64> = (0..1_000).map(|index| (f64::from(index) + 0.5) / 1_000.0).collect();
    assert!(ks_p(even) > 0.999);
    // A distance of 1.358 / sqrt(n) is exceeded with a chance of one in twenty.
    let shifted: Vec<f64> = (0..10_000).map(|index| f64::from(index) / 10_000.0 * (1.0 - 0.01358)).collect();
    let p = ks_p(shifted);
    assert!((0.04..0.06).contains(&p), "{p}");
}

/// 100,000 subscribers come within seconds, as after a power failure in the city, and report each minute.
#[test]
fn interims_of_a_line_card_are_flat() {
    let is_full = std::env::var_os("TOLLGATE_TEST_FULL").is_some_and(|value| value == "1");
    let seeds = if is_full { 20 } else { 2 };
    let (mut least_p, mut worst_peak) = (1.0_f64, 0.0_f64);
    for key in 1..=seeds {
        let mut card = Card::new(key, SESSIONS, &settings());
        card.server(Some(Bears::near(50_000, 4_096)));
        for number in 0..SESSIONS {
            card.up(number);
            if number % 20 == 0 {
                card.pass(Duration::from_micros(1_000));
            }
        }
        // After two intervals everybody is in its phase: one minute has each of them once.
        card.pass(Duration::from_secs(125));
        let from = card.seconds.len();
        card.pass(Duration::from_secs(60));
        let minute: Vec<u32> = card.seconds[from..][..60].iter().map(|second| second.interims).collect();
        let sum: u32 = minute.iter().sum();
        assert!((99_000..=101_000).contains(&sum), "{sum} in a minute");
        let mean = f64::from(sum) / 60.0;
        let peak = f64::from(*minute.iter().max().unwrap()) / mean;
        let phases = minute.iter().zip(0..).flat_map(|(count, second)| {
            (0..*count).map(move |index| (f64::from(second) + (f64::from(index) + 0.5) / f64::from(*count)) / 60.0)
        });
        let p = ks_p(phases.collect());
        if key == 1 {
            for (second, count) in minute.iter().enumerate() {
                println!("{second:>3} s {count:>6} {}", "#".repeat(*count as usize / 40));
            }
        }
        println!("seed {key}: peak second {peak:.3} of the mean, p {p:.4}");
        (least_p, worst_peak) = (least_p.min(p), worst_peak.max(peak));
    }
    println!("{seeds} seeds: least p {least_p:.4}, highest peak {worst_peak:.3}");
    assert!(least_p > 0.0005 && worst_peak <= 1.2, "p {least_p}, peak {worst_peak}");
}
