//! Statistics of timing samples.

/// Probability that one of `a` is larger than one of `b` (ties count half): the area under the ROC
/// curve, 0.5 if they cannot be told apart. It is the Mann-Whitney U, scaled.
pub(crate) fn auc(a: &[f64], b: &[f64]) -> f64 {
    let wins: f64 = a
        .iter()
        .flat_map(|x| b.iter().map(move |y| (x, y)))
        .map(|(x, y)| {
            if x > y {
                1.0
            } else if x < y {
                0.0
            } else {
                0.5
            }
        })
        .sum();
    #[allow(clippy::cast_precision_loss, reason = "there are a few thousand")]
    let pairs = (a.len() * b.len()) as f64;
    wins / pairs
}

/// Distance from 0.5 that the area may have by chance: 3.29 standard errors, which one of a
/// thousand runs exceeds. That is 0.06 for 500 and 500.
pub(crate) fn auc_by_chance(a: usize, b: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "there are a few thousand")]
    let (a, b) = (a as f64, b as f64);
    3.29 * ((a + b + 1.0) / (12.0 * a * b)).sqrt()
}

/// Smallest sample that at least this share of all samples does not exceed.
pub(crate) fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[test]
fn an_area_of_one_half_is_chance() {
    assert_eq!(auc(&[1.0, 2.0], &[1.0, 2.0]), 0.5);
    assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
    assert_eq!(auc(&[1.0], &[1.0, 2.0]), 0.25);
    assert!((auc_by_chance(500, 500) - 0.06).abs() < 0.001);
}

#[test]
fn quantiles_are_samples() {
    let samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
    assert_eq!((quantile(&samples, 0.5), quantile(&samples, 0.99), quantile(&samples, 1.0)), (100.0, 198.0, 200.0));
}
