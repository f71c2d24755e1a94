//! Sums, means and percentiles.

use super::*;

#[test]
fn sums_do_not_drift() {
    let mut scene = Scene::new(Kind::ValueSum(field()), Bounds::at_least(0.0));
    scene.value(0, &json!(1e15));
    for step in 1..=20_000_i64 {
        scene.value(step * SECOND, &json!(0.1));
    }
    // Eleven of them, from exactly a timespan ago on.
    let reached = scene.value(20_001 * SECOND, &json!("0.1"));
    assert_eq!(reached, Some(found(19_991 * SECOND, 1.1, 1)));
    let far = scene.value(40_000 * SECOND, &json!(i64::MAX));
    assert!(far.unwrap().value > 1e17);
}

#[test]
fn means_are_of_what_is_a_number() {
    let mut scene = Scene::new(Kind::ValueAvg(field()), Bounds::at_least(2.5));
    assert_eq!(scene.value(0, &json!("2")), None);
    for odd in [
        json!("two"),
        json!("inf"),
        json!("NaN"),
        json!(true),
        json!([9]),
        json!(null),
    ] {
        assert_eq!(scene.value(1, &odd), None);
    }
    assert_eq!(scene.value(2, &json!(3)), Some(found(0, 2.5, 2)));
    assert_eq!(scene.window.progress(), 2);
}

#[test]
fn an_event_of_several_inputs_is_summed_once() {
    let mut scene = Scene::new(Kind::ValueSum(field()), Bounds::at_least(5.0));
    assert_eq!(scene.value(0, &json!(4)), None);
    assert_eq!(scene.value(0, &json!(4)), None);
    assert_eq!(scene.value(1, &json!(1)), Some(found(0, 5.0, 2)));
}

#[test]
fn busy_windows_sum_to_within_a_thousandth_and_forget_what_is_old() {
    let mut scene = Scene::new(Kind::ValueSum(field()), Bounds::at_least(0.0));
    // Five timespans of 10 001 events each.
    for step in 0..50_000_i64 {
        let reached = scene.value(step * 1000, &json!(1)).unwrap();
        let held = (step + 1).min(10_001) as f64;
        let late = reached.value - held;
        assert!((0.0..=11.0).contains(&late), "{step} {reached:?}");
        assert_eq!(reached.exact, step < 4096, "{step}");
    }
    assert!(scene.weight() < 300_000, "{}", scene.weight());
    // Empty, it begins anew.
    let later = scene.value(100 * SECOND, &json!(1));
    assert_eq!(later, Some(found(100 * SECOND, 1.0, 1)));
    assert!(scene.weight() < 1000, "{}", scene.weight());
}

#[test]
fn percentiles_are_at_most_half_a_percent_off() {
    let spec = |percentile| Kind::ValuePercentile(field(), percentile);
    for percentile in [0.0, 7.0, 50.0, 95.0, 99.9, 100.0] {
        let mut scene = Scene::new(spec(percentile), Bounds::at_least(-1e15));
        let mut numbers = Vec::new();
        let mut number = 1_u64;
        for step in 0..3000_i64 {
            // Four powers of e and both signs, without order: fewer buckets than there may be.
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let magnitude = ((number >> 40) as f64 / 4e6).exp();
            let signed = if number.is_multiple_of(3) {
                -magnitude
            } else {
                magnitude
            };
            let whole = millionths(&json!(signed)).unwrap();
            let place = numbers.partition_point(|other| *other < whole);
            numbers.insert(place, whole);
            let reached = scene.value(step, &json!(signed)).unwrap();
            let rank = usize::try_from(rank(percentile, numbers.len() as u64)).unwrap();
            let right = units(numbers[rank - 1]);
            let off = (reached.value - right).abs();
            assert!(off <= right.abs() * 0.005, "{step}: {reached:?} {right}");
        }
    }
}

#[test]
fn percentiles_of_whatever_numbers_take_bounded_memory() {
    let mut scene = Scene::new(
        Kind::ValuePercentile(field(), 99.0),
        Bounds::at_least(-1e15),
    );
    let bucket_ratio = 1.01_f64;
    for step in 0..30_000_i64 {
        // More buckets than there may be, over and over, many in each grain.
        let power = i32::try_from(step * 1547 % 2500).unwrap();
        let number = bucket_ratio.powi(power);
        let reached = scene.value(step * 100, &json!(number)).unwrap();
        assert!(!reached.exact);
        if step > 5000 {
            let right = bucket_ratio.powi(2475);
            let ratio = reached.value / right;
            assert!((0.95..1.05).contains(&ratio), "{step} {ratio}");
        }
    }
    assert!(scene.weight() < 300_000, "{}", scene.weight());
    let later = scene.value(100 * SECOND, &json!(5)).unwrap();
    assert!((later.value - 5.0).abs() < 0.025, "{later:?}");
}

#[test]
fn the_nearest_rank_is_not_moved_by_rounding() {
    assert_eq!(rank(7.0, 100), 7);
    assert_eq!(rank(99.9, 1000), 999);
    assert_eq!(rank(0.0, 5), 1);
    assert_eq!(rank(100.0, 5), 5);
    assert_eq!(rank(50.0, 5), 3);
}
